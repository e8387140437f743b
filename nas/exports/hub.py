"""Format `config.json`: what makes the folder one that the Hugging Face Hub takes as it is. Nothing is pushed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from nas.jobs.files import write_json

if TYPE_CHECKING:
    from nas.exports.subject import Subject


@final
class HubFormat:
    """Configuration in the Hub's terms: classes by number, architecture and preprocessing, beside the model card."""

    file = "config.json"
    needs = ("safetensors", "card")

    def unavailable(self) -> str | None:
        """Return None: it can always be written."""
        return None

    def write(self, subject: Subject, folder: Path) -> None:
        """Write the configuration."""
        write_json(folder / self.file, _content(subject))

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Compare the file with the subject: 0 if it reads back as it is, else infinity."""
        found = json.loads((folder / self.file).read_text(encoding="utf-8"))
        return {"max_difference": 0.0 if found == json.loads(json.dumps(_content(subject))) else float("inf")}


def _content(subject: Subject) -> dict[str, Any]:
    classes = list(subject.preprocessing["classes"])
    return {
        "model_type": "inception-nas",
        "id2label": {str(number): name for number, name in enumerate(classes)},
        "label2id": {name: number for number, name in enumerate(classes)},
        "architecture": dict(subject.architecture),
        "preprocessing": dict(subject.preprocessing),
    }


FORMAT = HubFormat()
