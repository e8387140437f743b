"""Rehearsed searches beside one another: a table for the terminal and a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from nas.jobs.files import atomic_path

FLOOR = 1e-3


@dataclass(frozen=True)
class Band:
    """The gap to the true front over the cost of a search.

    Attributes:
        name: of the strategy.
        spent: full-training equivalents, ascending and positive.
        median: of the share of the true front's hypervolume, at each of them.
        low: lower end of the median's interval.
        high: upper end.
    """

    name: str
    spent: Sequence[float]
    median: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def rehearsal_table(document: Mapping[str, Any], name: str, thinking: float) -> RenderableType:
    """What the rehearsals of one strategy came to, beside the oracle.

    Args:
        document: of the rehearsals.
        name: of the strategy.
        thinking: median processor seconds that the driver thought in one rehearsal.
    """
    goals = list(document["summary"]["reached"])
    about = document["table"]
    title = (
        f"{document['summary']['seeds']} rehearsals on {about['path']}: {about['architectures']} architectures, "
        f"a full training takes {about['full_training_seconds']:.3g} s"
    )
    table = Table(title=Text(title), title_justify="left", pad_edge=False, box=None)
    table.add_column("strategy")
    for heading in (*(f"to {float(goal):.0%}" for goal in goals), "area", "share", "thinking s"):
        table.add_column(heading, justify="right", no_wrap=True)
    horizon = document["horizon"]
    found = document["summary"]
    spent = [interval(found["reached"][goal], horizon) for goal in goals]
    table.add_row(name, *spent, interval(found["area"], horizon), interval(found["share"], horizon), f"{thinking:.1f}")
    best = document["oracle"]
    alone = [spell(best["reached"][goal], horizon) for goal in goals]
    table.add_row("oracle", *alone, f"{best['area']:.3f}", f"{best['share']:.3f}", "–")
    table.add_row("everything", *("–" for _ in goals), "–", f"{document['ceiling']:.3f}", "–")
    reference = document["reference"]
    table.caption = Text(
        f"Medians [95 % interval] over seeds. To 80 %: full trainings until the true hypervolume of what is returned "
        f"is 80 % of the true front's. Area: mean log10 of the gap over {horizon:g} full trainings. Oracle: trains the "
        f"true front alone. Everything: the front of all networks by one seed's validation accuracy. "
        f"Reference point: {reference['macs']:,.0f} MACs, error {reference['error']:.4f}."
    )
    table.caption_justify = "left"
    return table


def interval(found: Mapping[str, float | None], horizon: float) -> str:
    """A median with its interval.

    >>> interval({"median": 12.34, "low": 9.0, "high": None}, 100.0)
    '12.3 [9.0, >100]'
    """
    low, high = spell(found["low"], horizon), spell(found["high"], horizon)
    return f"{spell(found['median'], horizon)} [{low}, {high}]"


def spell(value: float | None, horizon: float) -> str:
    """A number in a few digits; more than the horizon for what was never reached."""
    if value is None:
        return f">{horizon:g}"
    return f"{value:.1f}" if abs(value) >= 2 else f"{value:.3f}"


def draw_rehearsals(panels: Mapping[str, Sequence[Band]], bounds: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw the gap to the true front over the cost of searches, on logarithmic axes, as a PNG.

    Args:
        panels: strategies by the panel's title.
        bounds: `oracle` and `ceiling` of each panel.
        path: where the picture goes.
    """
    figure = Figure(figsize=(8.0 * len(panels), 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    planes = figure.subplots(1, len(panels), squeeze=False)[0]
    for plane, (title, bands) in zip(planes, panels.items(), strict=True):
        _draw_panel(plane, bands, bounds[title])
        plane.set_title(title, parse_math=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def _draw_panel(plane: Axes, bands: Sequence[Band], bounds: Mapping[str, Any]) -> None:
    for number, band in enumerate(bands):
        color, dashed = f"C{number // 2 % 10}", number % 2 == 1 and len(bands) > 2
        gaps = [[max(1.0 - share, FLOOR) for share in shares] for shares in (band.median, band.high, band.low)]
        plane.step(band.spent, gaps[0], where="post", color=color, linestyle="--" if dashed else "-", label=band.name)
        plane.fill_between(band.spent, gaps[1], gaps[2], step="post", color=color, alpha=0.1, linewidth=0)
    steps = [(spent, max(1.0 - share, FLOOR)) for spent, share in bounds["oracle"]["curve"]]
    if steps:
        plane.step(*zip(*steps, strict=True), where="post", color="0.3", linestyle=":", label="oracle")
    if bounds["ceiling"] < 1:
        plane.axhline(1.0 - bounds["ceiling"], color="0.6", linestyle="-.", label="everything trained, one seed seen")
    plane.set_xscale("log")
    plane.set_yscale("log")
    plane.set_ylim(top=1.05)
    plane.set_xlim(right=max((band.spent[-1] for band in bands), default=math.inf))
    plane.set_xlabel("full-training equivalents")
    plane.set_ylabel("gap to the true front's hypervolume")
    plane.grid(alpha=0.3, which="both")
    plane.legend(loc="lower left", fontsize="small")
