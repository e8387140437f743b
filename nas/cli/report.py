"""`nas report`: a study as one HTML file."""

from __future__ import annotations

import shlex
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from nas.cli.app.compose import yaml_text
from nas.cli.app.stored_files import stored_command, stored_environment, stored_settings
from nas.cli.common.printing import Row, print_document
from nas.cli.common.studies import NamesStudy, reading, study_overrides, writing_beside
from nas.config.commands import ReportConfig
from nas.evaluation.retrain.files import baseline_results, trial_results
from nas.jobs.files import write_text
from nas.reports.html import ReportContext, render
from nas.study.latencies import measured_latencies
from nas.study.study import Study

REPORT_FILE = "report.html"


def run(config: ReportConfig) -> int:
    """Write the report and print its path.

    Raises:
        ValueError: no study of that name, or `output` is not an HTML file.
    """
    reader = reading(config)
    html = render(reader, report_context(reader.study, config))
    path = reader.study.folder / REPORT_FILE if config.output is None else Path(config.output).expanduser()
    with writing_beside(reader.study, config.output, "FILE.html"):
        path.parent.mkdir(parents=True, exist_ok=True)
        # No newline translation: the page's policy names its scripts by their hashes.
        write_text(path, html, follow_link=config.output is not None)
    print_document({"study": reader.study.name, "report": str(path)}, config.format, report_line, report_rows)
    if config.open:
        webbrowser.open(path.resolve().as_uri())
    return 0


def report_context(study: Study, config: NamesStudy) -> ReportContext:
    """Return the settings, machine and retraining results of a study; its commands name it as `config` does."""
    stored = stored_settings(study)
    named = {"study": config.study, "outputs": config.outputs}
    command, exact = stored_command({**stored, **named}) if stored else (None, True)

    def search_with(budget: Mapping[str, float | None]) -> str | None:
        larger = {**stored.get("budget", {}), **budget}
        return stored_command({**stored, **named, "budget": larger})[0] if command else None

    return ReportContext(
        reference=study_overrides(config),
        named=shlex.join([f"study={config.study}"]),
        search=command,
        exact=exact,
        config=stored,
        settings=yaml_text(stored) if stored else "",
        environment=stored_environment(study),
        search_with=search_with,
        retrained=[result for result in trial_results(study.folder) if result["seeds"]],
        measured=measured_latencies(study.folder),
        baselines=[result for result in baseline_results(study.folder) if result["seeds"]],
    )


def report_line(document: Mapping[str, Any]) -> Text:
    """Return the path alone, on one line of any length."""
    return Text(document["report"], no_wrap=True, overflow="ignore")


def report_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row."""
    return [list(document), list(document.values())]
