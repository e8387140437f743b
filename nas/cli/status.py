"""`nas status`: state of a study."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from nas.cli.common.printing import Row, print_document
from nas.cli.common.studies import reading
from nas.config.commands import StatusConfig
from nas.jobs.energy import GRAMS_PER_KWH, energy_document
from nas.jobs.streams import output_named
from nas.reports.status import lines_within, status_table
from nas.study.overview import ENERGY, overview
from nas.study.summary import StudyReader

CLEAR = "\x1b[H\x1b[2J"
LISTED = ("running",)
"""Parts of the document that are lists of objects, which a row of CSV has no place for."""


def run(config: StatusConfig) -> int:
    """Print the state of a study.

    Raises:
        ValueError: no study of that name.
    """
    reader = reading(config)
    on_screen = config.watch and config.format == "table" and sys.stdout.isatty()
    while True:
        document = status_document(reader, config.grams_per_kwh)
        goes_on = config.watch and document["driven"]
        if on_screen and goes_on:
            _redraw(document)
        else:
            sys.stdout.write(CLEAR if on_screen else "")
            print_document(document, config.format, status_table, status_rows)
        if not goes_on:
            return 0
        time.sleep(config.interval)
        reader = reader.reread()


def status_document(reader: StudyReader, grams_per_kwh: float = GRAMS_PER_KWH) -> dict[str, Any]:
    """Return the document of the command: the counts of a study, how far it is, and the energy that it took.

    Args:
        reader: the study.
        grams_per_kwh: grams of CO₂ a kWh, at least 0.
    """
    document = reader.status_document()
    energy = energy_document(reader.study.attribute(ENERGY), grams_per_kwh)
    return document | overview(reader.study, reader.records, driven=document["driven"]) | {ENERGY: energy}


def _redraw(document: Mapping[str, Any]) -> None:
    """Show as much of the status as the terminal has lines, from its top."""
    width, height = shutil.get_terminal_size()
    with output_named():
        sys.stdout.write(CLEAR + lines_within(status_table(document), width, max(1, height - 1)) + "\n")


def status_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row: every number of the document under its dotted path."""
    pairs = list(_leaves({key: value for key, value in document.items() if key not in LISTED}, ""))
    return [[name for name, _ in pairs], ["" if value is None else value for _, value in pairs]]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value
