"""Table of all studies of a folder, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nas.reports.measures import heading
from nas.reports.text import clock_text, duration_text, short_number

STYLES = {"running": "green", "finished": "", "stopped": "yellow", "broken": "red"}


def studies_table(document: Mapping[str, Any]) -> RenderableType:
    """Return the studies, one a row, and below them why any cannot be read."""
    if not document["studies"]:
        return Text(f"no studies in {document['outputs']} yet: nas search begins one")
    table = Table(title=Text(f"Studies of {document['outputs']}"), title_justify="left", pad_edge=False, box=None)
    for name in ("study", "state"):
        table.add_column(name, overflow="fold")
    for name in ("trials", "done", "left", "hypervolume", "training", "age"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("best", overflow="fold")
    for study in document["studies"]:
        state = Text(study["state"], style=STYLES.get(study["state"], ""))
        table.add_row(Text(study["study"]), state, *_numbers(study), age_text(study["age_seconds"]), Text(_best(study)))
    errors = [Text(f"{study['study']}: {study['error']}") for study in document["studies"] if "error" in study]
    return Group(table, *errors)


def _numbers(study: Mapping[str, Any]) -> list[str]:
    """Return the cells of trials, share done, time left, hypervolume and training."""
    if "trials" not in study:
        return ["–"] * 5
    share, left, goal = study["share_done"], study["seconds_left"], study["budget_trials"]
    return [
        f"{study['trials']}/{goal}" if goal else str(study["trials"]),
        "–" if share is None else f"{share:.0%}",
        "–" if left is None or study["state"] == "finished" else clock_text(left),
        f"{study['hypervolume']:.3f}",
        duration_text(study["seconds"]),
    ]


def _best(study: Mapping[str, Any]) -> str:
    if not (best := study.get("best")):
        return "–"
    values = ", ".join(f"{heading(name)} {short_number(value)}" for name, value in best["values"].items())
    return f"trial {best['trial']}: {values}"


def age_text(seconds: float | None) -> str:
    """Return an age in its largest unit, a dash for one that is not known.

    >>> age_text(42), age_text(7200), age_text(200_000), age_text(None)
    ('42 s', '2 h', '2 d', '–')
    """
    if seconds is None:
        return "–"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
