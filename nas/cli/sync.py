"""`nas sync`: upload of a study to its tracker, after the search."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.text import Text

from nas.cli.app.compose import yaml_text
from nas.cli.common.printing import Row, print_document
from nas.cli.common.studies import reading
from nas.cli.report import REPORT_FILE, report_context
from nas.config.commands import SyncConfig
from nas.jobs.files import write_text
from nas.reports.html import render
from nas.study.summary import StudyReader
from nas.tracking.redaction import redact
from nas.tracking.results import Result, part_of, record_results, tracking_of


def run(config: SyncConfig) -> int:
    """Upload what the tracker of a study has recorded on this machine, with a report, and print what was sent.

    Raises:
        ValueError: no study of that name, a search drives it, its tracker has no server, or that did not take all.
    """
    reader = reading(config)
    study = reader.study
    if study.is_driven():
        raise ValueError(f"a study is sent once its search has ended, one drives {study.label}")
    spec = tracking_of(study)
    sync = part_of(spec, "sync")
    if sync is None:
        raise ValueError(
            f"a study can be sent if its tracker has a server, tracking={spec.name} of {study.name} has none"
        )
    sent = sync(study, spec, config.seconds, partial(_record_report, reader, config))
    linked = part_of(spec, "link")(study, spec, config.registry) if config.registry else []
    document = {"study": study.name, "tracker": spec.name, **sent, "linked": linked}
    print_document(document, config.format, _sent_text, sync_rows)
    return 0


def _record_report(reader: StudyReader, config: SyncConfig) -> None:
    """Record the report of a study without names of folders."""
    if not config.report:
        return
    study = reader.study
    context = report_context(study, replace(config, study=study.name, outputs="outputs"))
    settings = redact(context.config)
    told = {"config": settings, "settings": yaml_text(settings), "environment": redact(context.environment)}
    context = replace(context, **told, search=None, search_with=None)  # a command might name folders
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / REPORT_FILE
        write_text(path, render(reader, context))
        record_results(study, "report", [Result("", files={REPORT_FILE: str(path)})], upload=False)


def _sent_text(document: Mapping[str, Any]) -> Text:
    """Return the runs that were sent, a line each, and the address of the study's run."""
    lines = [f"sent {name}" for name in document["sent"]] or ["everything is sent already"]
    lines += [f"linked {name}" for name in document["linked"]]
    return Text("\n".join([*lines, *filter(None, [document["url"]])]), no_wrap=True, overflow="ignore")


def sync_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and a row for each run that was sent."""
    return [["study", "run"], *([document["study"], name] for name in document["sent"])]
