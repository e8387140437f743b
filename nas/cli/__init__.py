"""The command line: one file a command."""

from __future__ import annotations

from nas.cli.entry import main

__all__ = ["main"]
