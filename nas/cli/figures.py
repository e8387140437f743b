"""`nas figures`: pictures of a study for a paper."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nas.cli.common.printing import Row, print_document
from nas.cli.common.studies import reading, writing_beside
from nas.cli.report import report_context
from nas.config.commands import FiguresConfig
from nas.reports.document import study_document
from nas.reports.paper import draw_figures

FOLDER = "figures"


def run(config: FiguresConfig) -> int:
    """Draw the figures and print their paths.

    Raises:
        ValueError: no study of that name, or a folder that can't be written to.
    """
    reader = reading(config)
    study = reader.study
    document = study_document(reader, report_context(study, config))
    folder = study.folder / FOLDER if config.output is None else Path(config.output).expanduser()
    with writing_beside(study, config.output, "FOLDER"):
        files = draw_figures(document, folder, config.formats, config.width)
    found = {"study": study.name, "figures": [str(path) for path in files]}
    print_document(found, config.format, figure_lines, figure_rows)
    return 0


def figure_lines(document: Mapping[str, Any]) -> RenderableType:
    """Return the paths, one on each line of any length."""
    return Group(*(Text(path, no_wrap=True, overflow="ignore") for path in document["figures"]))


def figure_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row for each file."""
    return [["study", "figure"], *([document["study"], path] for path in document["figures"])]
