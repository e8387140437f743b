"""`nas search`: run a search, or resume it."""

from __future__ import annotations

import sys

from nas.cli.common.searches import run_search
from nas.cli.common.signals import CODES
from nas.cli.front import print_front
from nas.config.commands import SearchConfig
from nas.search.conduct import Conducted
from nas.study.summary import StudyReader


def run(config: SearchConfig) -> int:
    """Search until the budget is used up, then print the front and the files that were written.

    Returns:
        0, or 130 after Ctrl-C and 143 after SIGTERM; the same command resumes.
    """
    ended = run_search(config)
    print_front(StudyReader(ended.study).front_document(), config.format)
    _print_files(ended)
    return CODES.get(ended.reason, 0)


def _print_files(ended: Conducted) -> None:
    """Print the files to standard error, as standard output may be a JSON document."""
    lines = [f"  {path}" for path in (ended.study.location, *ended.files)]
    sys.stderr.write("Files:\n" + "\n".join(lines) + f"\nSee nas status {ended.study.overrides}\n")
