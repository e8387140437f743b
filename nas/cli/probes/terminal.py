"""Probe of the terminal and its encoding."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from typing import TextIO

from nas.cli.probes.finding import Finding, ok, warning

LEAST = 80
"""Columns that the display of a search needs."""


def probe(stream: TextIO | None = None, environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Return the encoding and the width of the terminal.

    Args:
        stream: where a search shows itself; None for standard error.
        environ: the environment.
    """
    shown = sys.stderr if stream is None else stream
    encoding = (shown.encoding or "ascii").lower().replace("-", "")
    columns, lines = shutil.get_terminal_size((0, 0))
    where = f"{columns}×{lines}, {environ.get('TERM', 'no TERM')}" if shown.isatty() else "none, output is redirected"
    if encoding != "utf8":
        text = f"{where}, encoding {shown.encoding}: lines and signs are shown as escapes"
        return [warning("terminal", text, "export LANG=C.UTF-8 or PYTHONUTF8=1")]
    if shown.isatty() and 0 < columns < LEAST:
        return [warning("terminal", where, f"the display of a search needs {LEAST} columns: make the window wider")]
    return [ok("terminal", f"{where}, UTF-8")]
