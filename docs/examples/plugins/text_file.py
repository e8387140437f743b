"""Tracker: a line for each finished trial in `trials.txt` of the study's folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self


class TextFile:
    """Observer of a search, and a context manager that closes itself."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("a", encoding="utf-8")

    def on_progress(self, progress: Any) -> None:
        """Take the state of running trials, about once a second."""

    def on_trial(self, record: Any, progress: Any) -> None:
        """Take a trial that has ended."""
        print(record.number, record.state.name, record.candidate.costs, file=self.file, flush=True)

    def on_end(self, progress: Any, reason: Any) -> None:
        """Take the end of the search."""
        print("end:", reason, file=self.file)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make(spec: Any, study: Any, circumstances: Mapping[str, Any]) -> TextFile:
    """Return the tracker of a study."""
    return TextFile(Path(study.folder) / "trials.txt")
