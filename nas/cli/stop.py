"""`nas stop`: stop the search of a study, from another terminal."""

from __future__ import annotations

import sys

from nas.cli.common.studies import reading
from nas.config.commands import StopConfig


def run(config: StopConfig) -> int:
    """Request the search that drives a study to stop.

    Raises:
        ValueError: no study of that name, or no search drives it.
    """
    study = reading(config).study
    if not study.is_driven():
        raise ValueError(f"only a running search can be stopped, none drives {study.label}")
    study.request_stop()
    sys.stderr.write(f"{study.name} stops once its trainings have finished their epoch; nas search resumes it\n")
    return 0
