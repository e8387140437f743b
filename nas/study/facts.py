"""Facts about a study for a list of several: its state, counts, best network and hypervolume."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from nas.study.overview import overview
from nas.study.summary import StudyReader

BROKEN = "broken"
"""State of a study that can't be read."""
UNREADABLE = (ValueError, OSError, sqlite3.Error)


def study_facts(opened: Callable[[], StudyReader]) -> dict[str, Any]:
    """Return the facts about a study as JSON values; of one that can't be read, why.

    Args:
        opened: opens the study for reading.
    """
    try:
        reader = opened()
        try:
            status = reader.status_document()
            known = overview(reader.study, reader.records, driven=status["driven"])
        finally:
            reader.study.close()
    except UNREADABLE as error:
        return {"state": BROKEN, "error": " ".join(str(error).split())}
    counts = status["trials"]
    return {
        "state": known["state"],
        "trials": counts["complete"] + counts["pruned"],
        "budget_trials": (status["budget"] or {}).get("trials"),
        "share_done": known["share_done"],
        "seconds_left": known["seconds_left"],
        "best": known["best"],
        "hypervolume": status["hypervolume"],
        "front": status["front"],
        "seconds": status["seconds"],
        "clock_seconds": status["clock_seconds"],
    }
