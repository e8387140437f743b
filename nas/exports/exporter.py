"""Export of picked trials of a study: their weights are found first, so that an error shows before the first file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, final

from nas.data import DataSpec
from nas.evaluation.facts import facts_of
from nas.evaluation.retrain.results import mean_and_sd
from nas.exports.bundle import write_bundle
from nas.exports.format import Format
from nas.exports.sparse.pruner import PrunedNetwork, Pruner
from nas.exports.subject import build_subject
from nas.exports.trained_weights import check_average, choose_checkpoint, data_of
from nas.study.latencies import measured_latencies
from nas.study.study import Study
from nas.study.trial import Record
from nas.training.restore import TrainedNetwork
from search_space.documents import graph_of, without_auxiliaries
from search_space.network import build

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ExportRequest:
    """Files to write of each network.

    Attributes:
        data: the study's images.
        formats: the formats to write, each after those that it needs.
        images: largest number of validation images to check on, at least 1.
        told: further facts for a model card: the `command` of the search and the `licence`, where they are known.
        required: False leaves out an approximate format that fails its check, with a line in the log.
        pruner: prunes each network: the bundle is that of the smaller network, or has its sparse weights; None for no
            pruning.
    """

    data: DataSpec
    formats: Sequence[Format]
    images: int
    told: Mapping[str, Any] = field(default_factory=dict)
    required: bool = True
    pruner: Pruner | None = None


@final
class Exporter:
    """Exporter of trials of one study."""

    def __init__(
        self, study: Study, records: Sequence[Record], environment: Mapping[str, Any], weights: str = "best"
    ) -> None:
        """Find the weights of all trials.

        Args:
            study: the study.
            records: the trials.
            environment: versions and machine, for `checks.json`.
            weights: the weights to export, as `choose_checkpoint` takes them.

        Raises:
            ValueError: a trial has no weights that can be read.
        """
        self._study = study
        self._environment = environment
        self._weights = {record.number: choose_checkpoint(study, record, weights) for record in records}

    def export(self, record: Record, output: Path, request: ExportRequest) -> dict[str, Any]:
        """Write and check the bundle of a trial; return its files and the results of the checks.

        Args:
            record: one of the trials.
            output: folder of the files.
            request: the files.

        Raises:
            ExportError: a file fails its check.
        """
        found = self._weights[record.number]
        data = data_of(found, request.data)
        weights = check_average(found, record, data)
        circumstances = {
            "study": self._study.name,
            "trial": record.number,
            "id": record.candidate.id,
            "network_id": record.candidate.network_id,
            "summary": record.candidate.summary,
            "costs": dict(record.candidate.costs),
            "weights": dict(weights.origin),
            "validation_images": self._study.attribute("validation_images"),
            "environment": self._environment,
        }
        accuracies = [result["test_accuracy"] for result in found.results]
        retrained = {"retrained": mean_and_sd(accuracies)} if accuracies else {}
        latencies = _latencies(self._study, record.candidate.network_id)
        told = {**circumstances, **request.told, **retrained, "latencies": latencies}
        document, trained = _shipped(record.candidate.architecture, weights.trained)
        pruned = None
        if request.pruner is not None:
            if found.whole:
                log.warning("trial %s: the weights have seen the images that pruning is validated on", record.number)
            pruned = request.pruner(record.number, document, trained, data)
        if pruned is not None and request.pruner is not None and request.pruner.spec.smaller:
            circumstances = {**circumstances, **_smaller(pruned, weights.origin)}
            document, trained, told = pruned.document, pruned.trained, {**circumstances, **request.told}
        subject = build_subject(told, document, trained, data, request.images)
        subject = replace(subject, pruned=pruned)
        written = write_bundle(subject, output, request.formats, circumstances, required=request.required)
        for reason in written.get("left_out", {}).values():
            log.warning("left out: %s", reason)
        return {
            "trial": record.number,
            "output": str(output),
            "weights": circumstances["weights"],
            "files": sorted(path.name for path in output.iterdir()),
            "checks": written["checks"],
        }


def _latencies(study: Study, network_id: str) -> list[dict[str, Any]]:
    """Return the measured latencies of a network in milliseconds, each with device and circumstances, for a card."""
    measured = [(each.title, each.networks.get(network_id)) for each in measured_latencies(study.folder)]
    return [{"on": title, **asdict(found)} for title, found in measured if found is not None]


def _shipped(document: Mapping[str, Any], trained: TrainedNetwork) -> tuple[Mapping[str, Any], TrainedNetwork]:
    """Return document and network without auxiliary classifiers, which serve a training alone."""
    plain = without_auxiliaries(document)
    if plain == dict(document):
        return document, trained
    network, state = build(graph_of(plain)), trained.network.state_dict()
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    return plain, replace(trained, network=network.eval())


def _smaller(pruned: PrunedNetwork, origin: Mapping[str, Any]) -> dict[str, Any]:
    """Return the circumstances of a network without some channels, in place of those of the network before."""
    accuracy = pruned.facts["val_accuracy"]
    return {
        **facts_of(pruned.document),
        "pruned": dict(pruned.facts),
        "validation_images": pruned.facts["val_images"],
        "weights": {
            "from": "pruning",
            "epochs": pruned.facts["epochs"],
            "seed": origin.get("seed"),
            "val_accuracy": accuracy,
            "of": dict(origin),
        },
    }
