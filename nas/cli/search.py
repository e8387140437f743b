"""`nas search`: run a search, or resume it."""

from __future__ import annotations

from nas.config.commands import SearchConfig
from nas.jobs.notice import showing
from nas.workers.local import start_loading


def run(config: SearchConfig) -> int:
    """Search until the budget is used up, then print the front and the files that were written.

    Returns:
        0, or 130 after Ctrl-C and 143 after SIGTERM; the same command resumes.
    """
    start_loading(config.workers, if_idle=True)
    with showing("nas search: loading"):
        from nas.cli.common.searches import search_and_print  # noqa: PLC0415 - while the fork server loads torch

    return search_and_print(config)
