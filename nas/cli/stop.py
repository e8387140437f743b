"""`nas stop`: end the search of a study in order, from another terminal."""

from __future__ import annotations

import sys

from nas.cli.studies import existing_study
from nas.settings import StopConfig


def run(config: StopConfig) -> int:
    """Ask the search that drives a study to end.

    Raises:
        ValueError: there is no such study, or no search drives it.
    """
    from nas.lock import is_held  # noqa: PLC0415 - a mistake need not wait for what is imported here
    from nas.study import open_study  # noqa: PLC0415

    study = open_study(existing_study(config.study, config.outputs))
    if not is_held(study.folder):
        raise ValueError(f"only a running search can be stopped, none drives {study.folder}")
    study.request_stop()
    sys.stderr.write(f"{study.name} ends once its trainings have ended their epoch; nas search can go on with it\n")
    return 0
