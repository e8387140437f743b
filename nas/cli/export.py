"""`nas export`: picked networks as folders of files that need nothing of this program."""

from __future__ import annotations

import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.cli.app.stored_files import stored_settings
from nas.cli.common.printing import Row, print_document
from nas.cli.common.studies import reading, writing_beside
from nas.config.commands import ExportConfig
from nas.data import DataSpec, announce
from nas.exports.bundle import write_bundle
from nas.exports.format import Format, choose_formats
from nas.exports.subject import build_subject
from nas.exports.trained_weights import ChosenCheckpoint, check_average, choose_checkpoint
from nas.jobs.files import PARTIAL, sweep
from nas.jobs.links import refuse_links
from nas.objectives.limits import Limits
from nas.reports.tables import export_table
from nas.search.environment import environment
from nas.search.fingerprint import study_data
from nas.study.selection import pick_records
from nas.study.study import Study
from nas.study.trial import Record

FOLDER = "export"

log = logging.getLogger(__name__)


def run(config: ExportConfig) -> int:
    """Write and check the bundles of the picked networks, and print the results of the checks.

    Raises:
        ValueError: no network to pick or no weights, other data than the study's, or a format that fails its check.
    """
    reader = reading(config)
    study = reader.study
    records = pick_records(reader.records, study.believer, config.pick, Limits(**config.limits))
    formats, left_out = choose_formats(config.formats)
    for line in left_out:
        log.info("left out: %s", line)
    # All weights are found before the first export, so that an error shows at once.
    weights = [choose_checkpoint(study, record) for record in records]
    if config.output is None:
        _prepare_folder(study, records)
    data, info = study_data(study, stored_settings(study).get("data", {}), config.data.path)
    announce(info, counts=False)
    exported = []
    for record, found in zip(records, weights, strict=True):
        output = _output(config, study, record, several=len(records) > 1)
        bundle = _Bundle(record, found, _data(data, found), output)
        with writing_beside(study, config.output, "FOLDER"):
            exported.append(_export(study, bundle, formats, config.images))
    document = {"study": study.name, "pick": config.pick, "exported": exported}
    print_document(document, config.format, export_table, export_rows)
    if (Path(exported[0]["output"]) / "model.py").exists():
        sys.stderr.write(f"Try it: python {shlex.quote(str(Path(exported[0]['output']) / 'model.py'))} image.png\n")
    return 0


@dataclass(frozen=True)
class _Bundle:
    """Network to export, and the folder to export it to.

    Attributes:
        record: the trial.
        weights: its weights.
        data: the images, with the share that the weights were trained on.
        output: folder of the files.
    """

    record: Record
    weights: ChosenCheckpoint
    data: DataSpec
    output: Path


def _export(study: Study, bundle: _Bundle, formats: Sequence[Format], images: int) -> dict[str, Any]:
    record, output = bundle.record, bundle.output
    weights = check_average(bundle.weights, record, bundle.data)
    circumstances = {
        "study": study.name,
        "trial": record.number,
        "id": record.candidate.id,
        "network_id": record.candidate.network_id,
        "summary": record.candidate.summary,
        "costs": dict(record.candidate.costs),
        "weights": dict(weights.origin),
        "environment": environment(),
    }
    subject = build_subject(record, weights.trained, bundle.data, images)
    checks = write_bundle(subject, output, formats, circumstances)["checks"]
    return {
        "trial": record.number,
        "output": str(output),
        "weights": dict(weights.origin),
        "files": sorted(path.name for path in output.iterdir()),
        "checks": checks,
    }


def _prepare_folder(study: Study, records: Sequence[Record]) -> None:
    """Refuse links in the place of the bundles' folders, and remove unfinished bundles of killed exports."""
    for record in records:
        refuse_links(study.folder, study.folder / FOLDER / str(record.number))
    sweep(study.folder / FOLDER, rf"\.\d+-{PARTIAL}")


def _data(data: DataSpec, weights: ChosenCheckpoint) -> DataSpec:
    """Return the images with the share that the weights were trained on, of which mean and deviation are taken."""
    return data if weights.train_fraction is None else replace(data, train_fraction=weights.train_fraction)


def _output(config: ExportConfig, study: Study, record: Record, *, several: bool) -> Path:
    if config.output is None:
        return study.folder / FOLDER / str(record.number)
    root = Path(config.output).expanduser()
    return root / str(record.number) if several else root


def export_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row for each network and format."""
    rows: list[Row] = [["trial", "form", "max_difference", "argmax_agreement", "images", "output"]]
    for bundle in document["exported"]:
        for name, check in bundle["checks"].items():
            numbers = [check["max_difference"], check.get("argmax_agreement", ""), check.get("images", "")]
            rows.append([bundle["trial"], name, *numbers, bundle["output"]])
    return rows
