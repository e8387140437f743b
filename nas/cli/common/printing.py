"""Output of a result to standard output, where nothing else is written."""

from __future__ import annotations

import csv
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType

from nas.jobs.streams import output_named

PIPE_WIDTH = 200

Row = Sequence[object]


def print_document(
    document: Mapping[str, Any],
    form: str,
    table: Callable[[Mapping[str, Any]], RenderableType],
    rows: Callable[[Mapping[str, Any]], Sequence[Row]],
) -> None:
    """Print a result.

    Args:
        document: the result, of JSON values only.
        form: `table`, `json` (one document) or `csv` (a header and rows).
        table: renders the result for a terminal.
        rows: returns the header and the rows of the result.
    """
    with output_named():
        if form == "json":
            sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        elif form == "csv":
            csv.writer(sys.stdout, lineterminator="\n").writerows(rows(document))
        else:
            width = shutil.get_terminal_size((PIPE_WIDTH, 0)).columns
            Console(file=sys.stdout, width=width, highlight=False, markup=False).print(table(document))
