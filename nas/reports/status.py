"""Status of a study for the terminal, from the JSON document of `nas status`, the most important lines first."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from nas.reports.measures import heading
from nas.reports.screen import bar
from nas.reports.text import (
    FROZEN_LEGEND,
    SUMMARY_LEGEND,
    clock_text,
    duration_text,
    number_text,
    short_number,
)

Document = Mapping[str, Any]

TITLES = {
    "driven": "search running",
    "front": "networks on the front",
    "seconds": "training time",
    "clock_seconds": "clock time",
}
"""Titles of facts whose names in the document are too short to be understood."""

ON_TOP = ("study", "trials", "state", "share_done", "seconds_left", "best", "knee", "running")
BAR, JOB_BAR = 24, 10
LEGEND_WIDTH = 110


def status_table(document: Document) -> RenderableType:
    """Return the status of a study: how far it is, best network and knee, running trainings, then one fact a row."""
    table = Table(title_justify="left", pad_edge=False, box=None, show_header=False)
    table.add_column("fact", no_wrap=True)
    table.add_column("value")
    for name, count in document["trials"].items():
        table.add_row(name, Text(number_text(count)))
    for name, value in document.items():
        if name not in ON_TOP:
            table.add_row(TITLES.get(name) or heading(name), Text(_value_text(name, value)))
    lines = [Text(f"Study {document['study']}: {_state(document)}"), *_progress(document), *_networks(document)]
    lines += [_job(job) for job in document.get("running", ())]
    return Group(*map(_cut, lines), table, *_legend(document))


def lines_within(content: RenderableType, width: int, height: int) -> str:
    """Return the first lines of a content at this width, at most `height`, with their styles."""
    console = Console(width=width, height=height, highlight=False, markup=False, force_terminal=True)
    with console.capture() as captured:
        console.print(content)
    return "\n".join(captured.get().rstrip("\n").split("\n")[:height])


def _cut(line: Text) -> Text:
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _state(document: Document) -> str:
    return "search running" if document.get("driven") else str(document.get("state", "no search running"))


def _progress(document: Document) -> Iterator[Text]:
    """Yield the bar with percentage, count and time left."""
    trials, budget, share = document["trials"], document.get("budget") or {}, document.get("share_done")
    done = trials["complete"] + trials["pruned"]
    of = f"/{budget['trials']}" if budget.get("trials") else ""
    line = Text() if share is None else bar(share, BAR).append(f" {share:4.0%} ", style="bold")
    line.append(f"{done}{of} trials")
    if (left := document.get("seconds_left")) is not None and document.get("state") != "finished":
        line.append(f" · {clock_text(left)} left{'' if document.get('driven') else ' if it goes on'}")
    yield line


def _networks(document: Document) -> Iterator[Text]:
    for name in ("best", "knee"):
        if found := document.get(name):
            values = ", ".join(f"{key} {short_number(value)}" for key, value in found["values"].items())
            line = Text(f"{name}  ", style="bold green")
            yield line.append(f"trial {found['trial']}: {values}  {found['summary']}", style="default not bold")


def _job(job: Mapping[str, Any]) -> Text:
    line = Text(f"slot {job['slot']}  trial {job['trial']}  ")
    line.append(bar(job["epoch"] / max(1, job.get("epochs") or job["to_epoch"]), JOB_BAR))
    line.append(f"  epoch {job['epoch']}/{job['to_epoch']}")
    accuracies = [value for value in job.get("curve", {}).get("val_accuracy", ()) if value is not None]
    if accuracies:
        line.append(f"  accuracy {accuracies[-1]:.4f}")
    return line.append(f"  {job.get('summary', '')}", style="dim")


def _legend(document: Document) -> list[Text]:
    """Return the legend of the words that stand there: `frozen`, and the notation of a network."""
    words = [SUMMARY_LEGEND] if document.get("best") or document.get("running") else []
    words += [FROZEN_LEGEND] if document["trials"].get("frozen") else []
    return [Text(line, style="dim") for each in words for line in textwrap.wrap(each, LEGEND_WIDTH)]


def _value_text(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        known = {key: inner for key, inner in value.items() if inner is not None}
        return ", ".join(f"{heading(key)} {_value_text(key, inner)}" for key, inner in known.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if "seconds" in name and value is not None:
        return duration_text(value)
    if isinstance(value, int | float):
        return number_text(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value)) or "none"
    return "–" if value is None else str(value)
