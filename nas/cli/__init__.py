"""The command line: one file a command."""

from __future__ import annotations

from nas.cli.app.entry import main

__all__ = ["main"]
