"""Export of a fine-tuned network: the best of its seeds as a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.data import DataSpec
from nas.evaluation.facts import facts_of
from nas.evaluation.retrain.results import mean_and_sd
from nas.exports.bundle import write_bundle
from nas.exports.format import Format
from nas.exports.subject import build_subject
from nas.training.restore import restore_network


@dataclass(frozen=True, eq=False)
class Finetuned:
    """Fine-tuned network.

    Attributes:
        document: JSON form of the network.
        origin: facts about the network that it was made of.
        results: results of its seeds, at least one.
        best: the one to export.
        checkpoint: file of its weights.
    """

    document: Mapping[str, Any]
    origin: Mapping[str, Any]
    results: Sequence[Mapping[str, Any]]
    best: Mapping[str, Any]
    checkpoint: Path

    def facts(self) -> dict[str, Any]:
        """Return identities and costs, as JSON values."""
        return facts_of(self.document)


@dataclass(frozen=True, eq=False)
class FinetunedRequest:
    """Files to write.

    Attributes:
        data: the images, normalised as in the training.
        formats: the formats to write, each after those that it needs.
        images: largest number of validation images to check on, at least 1.
        required: False leaves out an approximate format that fails its check.
        told: further facts for `checks.json` (`environment`, `validation_images`) and for a model card (`licence`,
            `name`).
    """

    data: DataSpec
    formats: Sequence[Format]
    images: int
    required: bool
    told: Mapping[str, Any]


def export_finetuned(network: Finetuned, output: Path, request: FinetunedRequest) -> dict[str, Any]:
    """Write and check the bundle of a fine-tuned network; return the content of its `checks.json`.

    Raises:
        ExportError: a file fails its check.
        CheckpointError: the weights can't be read.
    """
    best = network.best
    trained = restore_network(network.checkpoint, network.document, averaged=best.get("weights") != "network")
    circumstances = {
        **network.facts(),
        "finetuned_from": dict(network.origin),
        "weights": {"from": "finetune", **best},
        **{name: value for name, value in request.told.items() if name != "licence"},
    }
    tested = mean_and_sd([result["test_accuracy"] for result in network.results])
    told = {**circumstances, **request.told, "retrained": tested}
    subject = build_subject(told, network.document, trained, request.data, request.images)
    return write_bundle(subject, output, request.formats, circumstances, required=request.required)
