"""`nas stop`: end the search of a study in order, from another terminal."""

from __future__ import annotations

import sys

from nas.cli.common.studies import reading
from nas.config.commands import StopConfig


def run(config: StopConfig) -> int:
    """Ask the search that drives a study to end.

    Raises:
        ValueError: there is no such study, or no search drives it.
    """
    study = reading(config).study
    if not study.is_driven():
        raise ValueError(f"only a running search can be stopped, none drives {study.place}")
    study.request_stop()
    sys.stderr.write(f"{study.name} ends once its trainings have ended their epoch; nas search can go on with it\n")
    return 0
