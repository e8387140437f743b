"""`nas export`: picked networks as folders of files that need nothing of this program."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from nas.cli.app.stored_files import stored_command, stored_settings
from nas.cli.common.printing import Row, print_document
from nas.cli.common.pruning import PrunedTrainings
from nas.cli.common.studies import reading, writing_beside
from nas.config.commands import ExportConfig
from nas.data import announce
from nas.evaluation.retrain.files import trial_results
from nas.evaluation.retrain.results import averages
from nas.exports.format import ARCHITECTURE, CHECKS, PREPROCESSING, Format, choose_formats, files_of
from nas.jobs.files import PARTIAL, sweep
from nas.jobs.links import refuse_links
from nas.jobs.notice import showing
from nas.objectives.limits import Limits
from nas.reports.tables import export_table
from nas.search.environment import environment
from nas.search.fingerprint import study_data
from nas.study.selection import pick_records
from nas.study.study import Study
from nas.study.trial import Record
from nas.tracking.results import Result, network_of, record_results

FOLDER, SPARSE = "export", "sparse"
SMALLER = ("safetensors", "source")
"""Formats of a network without channels, where no others are asked for."""
PRUNER = "nas.exports.sparse.pruner:Pruner"
CHECKED = ("max_difference", "argmax_agreement", "val_accuracy", "images", "bytes", "milliseconds")

log = logging.getLogger(__name__)


def run(config: ExportConfig) -> int:
    """Write and check the bundles of the picked networks, and print the results of the checks.

    Raises:
        ValueError: no network to pick or no weights, other data than the study's, or a format that fails its check.
    """
    document = export(config)
    print_document(document, config.format, export_table, export_rows)
    first = Path(document["exported"][0]["output"])
    signals = "scales" in json.loads((first / PREPROCESSING).read_text(encoding="utf-8"))
    if (first / "model.py").exists() and not signals:
        sys.stderr.write(f"Try it: python {shlex.quote(str(first / 'model.py'))} image.png\n")
    return 0


def export(config: ExportConfig) -> dict[str, Any]:
    """Write and check the bundles of the picked networks, and return the results of the checks.

    Raises:
        ValueError: no network to pick or no weights, other data than the study's, or a format that fails its check.
    """
    reader = reading(config)
    study = reader.study
    records = pick_records(reader.records, study.believer, config.pick, Limits(**config.limits))
    formats, left_out = choose_formats(_names(config))
    for line in left_out:
        log.info("left out: %s", line)
    with showing("nas export: loading torch"):
        from nas.exports.exporter import Exporter, ExportRequest  # noqa: PLC0415 - takes seconds

    prunes = SPARSE in config.formats
    exporter = Exporter(study, records, environment(), config.weights)
    if config.output is None:
        _prepare_folder(study, records)
    data, info = study_data(study, stored_settings(study).get("data", {}), config.data.path)
    announce(info, counts=False)
    settings = stored_settings(study)
    command = stored_command({**settings, "study": config.study, "outputs": config.outputs})[0] if settings else None
    told = {"command": command, "licence": config.licence}
    tuning = PrunedTrainings(study, config.sparse, data, info, config.workers)
    pruner = resolve_name(PRUNER)(config.sparse, tuning.of) if prunes else None
    request = ExportRequest(data, formats, config.images, told, bool(config.formats), pruner)
    exported = []
    for record in records:
        output = _output(config, study, record, several=len(records) > 1)
        with writing_beside(study, config.output, "FOLDER"):
            exported.append(exporter.export(record, output, request))
    record_results(study, "export", _results(study, records, exported, formats))
    return {"study": study.name, "pick": config.pick, "exported": exported}


def _names(config: ExportConfig) -> tuple[str, ...]:
    """Return the formats that are asked for; a smaller network has no sparse weights, but its own bundle."""
    if not (config.sparse.smaller and SPARSE in config.formats):
        return config.formats
    return tuple(name for name in config.formats if name != SPARSE) or SMALLER


def _results(
    study: Study, records: Sequence[Record], exported: Sequence[Mapping[str, Any]], formats: Sequence[Format]
) -> list[Result]:
    """Return what a tracker gets of the exported networks: their files, and the accuracies of their retrainings.

    A person's own files in the folder are left out.
    """
    retrained = {result["trial"]: averages(result) for result in trial_results(study.folder) if result["seeds"]}
    ours = {ARCHITECTURE, PREPROCESSING, CHECKS, *(file for form in formats for file in files_of(form))}
    found = []
    for record, bundle in zip(records, exported, strict=True):
        differences = {f"{name}/max_difference": check["max_difference"] for name, check in bundle["checks"].items()}
        files = {name: str(Path(bundle["output"]).resolve() / name) for name in sorted(ours & set(bundle["files"]))}
        summary = {**retrained.get(record.number, {}), **differences}
        found.append(Result(str(record.number), network_of(record), summary, files=files))
    return found


def _prepare_folder(study: Study, records: Sequence[Record]) -> None:
    """Refuse links in the place of the bundles' folders, and remove unfinished bundles of killed exports."""
    for record in records:
        for end in ("", "-pruned"):
            refuse_links(study.folder, study.folder / FOLDER / f"{record.number}{end}")
    sweep(study.folder / FOLDER, rf"\.\d+(?:-pruned)?-{PARTIAL}")


def _output(config: ExportConfig, study: Study, record: Record, *, several: bool) -> Path:
    if config.output is None:
        smaller = config.sparse.smaller and SPARSE in config.formats
        return study.folder / FOLDER / f"{record.number}{'-pruned' if smaller else ''}"
    root = Path(config.output).expanduser()
    return root / str(record.number) if several else root


def export_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row for each network and format."""
    rows: list[Row] = [["trial", "form", *CHECKED, "output"]]
    for bundle in document["exported"]:
        for name, check in bundle["checks"].items():
            numbers = [check.get(name, "") for name in CHECKED]
            rows.append([bundle["trial"], name, *numbers, bundle["output"]])
    return rows
