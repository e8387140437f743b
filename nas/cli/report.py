"""`nas report`: a study as one HTML file."""

from __future__ import annotations

import shlex
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from nas.cli.app.compose import yaml_text
from nas.cli.common.printing import Row, print_document
from nas.cli.common.studies import reading, stored_environment, stored_settings
from nas.config.commands import ReportConfig
from nas.evaluation.retrain.files import written_results

if TYPE_CHECKING:
    from nas.study.study import Study

REPORT_FILE = "report.html"


def run(config: ReportConfig) -> int:
    """Write the report and print its path.

    Raises:
        ValueError: there is no such study, or the file would not be an HTML file.
    """
    reader = reading(config)
    from nas.reports.html import render  # noqa: PLC0415 - imports Plotly, which a mistake needn't wait for

    html = render(reader, circumstances(reader.study, config))
    path = reader.study.folder / REPORT_FILE if config.output is None else Path(config.output).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(html.encode())  # as it is: the policy in it names its scripts by their hashes
    print_document({"study": reader.study.name, "report": str(path)}, config.format, report_line, report_rows)
    if config.open:
        webbrowser.open(path.resolve().as_uri())
    return 0


def study_words(study: str | None, outputs: str, storage: str = "sqlite") -> str:
    """The words that name a study, quoted for a shell.

    >>> study_words("mine", "outputs"), study_words("my own", "/data/nas", "postgres")
    ('study=mine', "'study=my own' outputs=/data/nas storage=postgres")
    """
    words = [f"study={study}"]
    words += [f"outputs={outputs}"] if outputs != "outputs" else []
    words += [f"storage={storage}"] if storage != "sqlite" else []
    return shlex.join(words)


def circumstances(study: Study, config: ReportConfig) -> Any:
    """What is known of the latest search of a study beside its trials; commands name it as it was named here."""
    from nas.cli.app.replay import search_command  # noqa: PLC0415 - composes, which no other part of the command does
    from nas.reports.html import Circumstances  # noqa: PLC0415 - imports Plotly, which a mistake needn't wait for

    stored = stored_settings(study)
    named = {"study": config.study, "outputs": config.outputs}
    command, exact = search_command({**stored, **named}) if stored else (None, True)
    return Circumstances(
        reference=study_words(config.study, config.outputs, config.storage.kind),
        named=shlex.join([f"study={config.study}"]),
        search=command,
        exact=exact,
        config=stored,
        settings=yaml_text(stored) if stored else "",
        environment=stored_environment(study),
        retrained=[result for result in written_results(study.folder) if result["seeds"]],
    )


def report_line(document: Mapping[str, Any]) -> Text:
    """The path alone, on one line however long."""
    return Text(document["report"], no_wrap=True, overflow="ignore")


def report_rows(document: Mapping[str, Any]) -> list[Row]:
    """Header and one row."""
    return [list(document), list(document.values())]
