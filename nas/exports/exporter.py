"""Export of picked trials of a study: their weights are found first, so that an error shows before the first file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from nas.data import DataSpec
from nas.exports.bundle import write_bundle
from nas.exports.format import Format
from nas.exports.subject import build_subject
from nas.exports.trained_weights import check_average, choose_checkpoint
from nas.study.study import Study
from nas.study.trial import Record


@final
class Exporter:
    """Exporter of trials of one study."""

    def __init__(self, study: Study, records: Sequence[Record], environment: Mapping[str, Any]) -> None:
        """Find the weights of all trials.

        Args:
            study: the study.
            records: the trials.
            environment: versions and machine, for `checks.json`.

        Raises:
            ValueError: a trial has no weights that can be read.
        """
        self._study = study
        self._environment = environment
        self._weights = {record.number: choose_checkpoint(study, record) for record in records}

    def export(
        self, record: Record, output: Path, data: DataSpec, formats: Sequence[Format], images: int
    ) -> dict[str, Any]:
        """Write and check the bundle of a trial; return its files and the results of the checks.

        Args:
            record: one of the trials.
            output: folder of the files.
            data: the study's images.
            formats: the formats to write.
            images: largest number of validation images to check on.

        Raises:
            ExportError: a file fails its check.
        """
        found = self._weights[record.number]
        if found.train_fraction is not None:  # mean and deviation are of the images that the weights were trained on
            data = replace(data, train_fraction=found.train_fraction)
        weights = check_average(found, record, data)
        circumstances = {
            "study": self._study.name,
            "trial": record.number,
            "id": record.candidate.id,
            "network_id": record.candidate.network_id,
            "summary": record.candidate.summary,
            "costs": dict(record.candidate.costs),
            "weights": dict(weights.origin),
            "environment": self._environment,
        }
        subject = build_subject(record, weights.trained, data, images)
        checks = write_bundle(subject, output, formats, circumstances)["checks"]
        return {
            "trial": record.number,
            "output": str(output),
            "weights": dict(weights.origin),
            "files": sorted(path.name for path in output.iterdir()),
            "checks": checks,
        }
