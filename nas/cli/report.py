"""`nas report`: a study as one HTML file."""

from __future__ import annotations

import json
import shlex
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from nas.cli.printing import Row, print_document
from nas.cli.studies import existing_study
from nas.config import read_yaml
from nas.retrain.files import written_results
from nas.settings import ReportConfig

REPORT_FILE = "report.html"


def run(config: ReportConfig) -> int:
    """Write the report and print its path.

    Raises:
        ValueError: there is no such study, or the file would not be an HTML file.
    """
    folder = existing_study(config.study, config.outputs)
    from nas.reader import open_for_reading  # noqa: PLC0415 - imports Optuna, which a mistake needn't wait for
    from nas.reports.html import render  # noqa: PLC0415 - the same, and Plotly

    reader = open_for_reading(folder)
    html = render(reader, circumstances(folder, config.study or "", config.outputs))
    path = folder / REPORT_FILE if config.output is None else Path(config.output).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(html.encode())  # as it is: the policy in it names its scripts by their hashes
    print_document({"study": reader.study.name, "report": str(path)}, config.format, report_line, report_rows)
    if config.open:
        webbrowser.open(path.resolve().as_uri())
    return 0


def study_words(study: str, outputs: str) -> str:
    """The words that name a study, quoted for a shell.

    >>> study_words("mine", "outputs"), study_words("my own", "/data/nas")
    ('study=mine', "'study=my own' outputs=/data/nas")
    """
    words = [f"study={study}"] + ([f"outputs={outputs}"] if outputs != "outputs" else [])
    return shlex.join(words)


def circumstances(folder: Path, study: str, outputs: str) -> Any:
    """What stands beside a study in its folder, as far as it is there; commands name it as it was named here."""
    from nas.cli.replay import search_command  # noqa: PLC0415 - composes, which no other part of the command does
    from nas.reports.html import Circumstances  # noqa: PLC0415 - imports Plotly, which a mistake needn't wait for

    settings = folder / "config.yaml"
    stored = read_yaml(settings)
    command, exact = search_command({**stored, "study": study, "outputs": outputs}) if stored else (None, True)
    environment = folder / "environment.json"
    return Circumstances(
        reference=study_words(study, outputs),
        search=command,
        exact=exact,
        config=stored,
        settings=settings.read_text(encoding="utf-8") if stored else "",
        environment=json.loads(environment.read_text(encoding="utf-8")) if environment.is_file() else {},
        retrained=[result for result in written_results(folder) if result["seeds"]],
    )


def report_line(document: Mapping[str, Any]) -> Text:
    """The path alone, on one line however long."""
    return Text(document["report"], no_wrap=True, overflow="ignore")


def report_rows(document: Mapping[str, Any]) -> list[Row]:
    """Header and one row."""
    return [list(document), list(document.values())]
