"""`nas status`: state of a study."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

from nas.cli.common.printing import Row, print_document
from nas.cli.common.studies import reading
from nas.config.commands import StatusConfig
from nas.reports.tables import status_table


def run(config: StatusConfig) -> int:
    """Print the state of a study.

    Raises:
        ValueError: no study of that name.
    """
    reader = reading(config)
    clear = "\x1b[H\x1b[2J" if config.watch and config.format == "table" and sys.stdout.isatty() else ""
    while True:
        document = reader.status_document()
        sys.stdout.write(clear)
        print_document(document, config.format, status_table, status_rows)
        if not (config.watch and document["driven"]):
            return 0
        time.sleep(config.interval)
        reader = reader.reread()


def status_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row: every number of the document under its dotted path."""
    pairs = list(_leaves(document, ""))
    return [[name for name, _ in pairs], ["" if value is None else value for _, value in pairs]]


def _leaves(value: Any, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value
