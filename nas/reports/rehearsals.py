"""Table and figure of rehearsals, which are searches simulated on a table of learning curves."""

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
from nas.objectives.costs.macs import COST as MACS

MIN_GAP = 1e-3


@dataclass(frozen=True)
class Band:
    """Share of the true front's hypervolume over the cost of a search, with its interval.

    Attributes:
        name: name of the strategy.
        spent: full-training equivalents, ascending and positive.
        median: median of the share over seeds at each of them, in [0, 1].
        low: lower end of the median's interval.
        high: upper end of the median's interval.
    """

    name: str
    spent: Sequence[float]
    median: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]


def rehearsal_table(document: Mapping[str, Any], name: str, thinking: float) -> RenderableType:
    """Return a table with the results of one strategy, the oracle and the front of all networks.

    Args:
        document: JSON document of the rehearsals.
        name: name of the strategy.
        thinking: median processor seconds of driver and sampler in one rehearsal.
    """
    goals = list(document["summary"]["reached"])
    about = document["table"]
    title = (
        f"{document['summary']['seeds']} rehearsals on {about['path']}: {_size_text(about)}, "
        f"a full training takes {about['full_training_seconds']:.3g} s"
    )
    table = Table(title=Text(title), title_justify="left", pad_edge=False, box=None)
    table.add_column("strategy")
    for heading in (*(f"to {float(goal):.0%}" for goal in goals), "area", "share", "near share", "thinking s"):
        table.add_column(heading, justify="right", no_wrap=True)
    horizon = document["horizon"]
    found = document["summary"]
    spent = [interval_text(found["reached"][goal], horizon) for goal in goals]
    near = document["near"]
    ends = [found["area"], found["share"], near["summary"]["share"]]
    table.add_row(name, *spent, *(interval_text(end, horizon) for end in ends), f"{thinking:.1f}")
    best = document["oracle"]
    alone = [bounded_text(best["reached"][goal], horizon) for goal in goals]
    table.add_row(
        "oracle", *alone, f"{best['area']:.3f}", f"{best['share']:.3f}", f"{near['oracle']['share']:.3f}", "–"
    )
    table.add_row("everything", *("–" for _ in goals), "–", f"{document['ceiling']:.3f}", f"{near['ceiling']:.3f}", "–")
    reference = document["reference"]
    table.caption = Text(
        f"Medians [95 % interval] over seeds. To 80 %: full trainings until the returned front has 80 % of the true "
        f"front's hypervolume. Area: mean log10 of the gap to the true front over {horizon:g} full trainings. Share: "
        f"part of the true front's hypervolume at the end. Thinking: processor seconds of driver and sampler. Oracle: "
        f"trains only the true front. Everything: the front of all networks by one seed's validation accuracy. "
        f"Near: in the box around the better half of the true front, with the reference point "
        f"{near['reference'][MACS.name]:,.0f} MACs, error {near['reference']['error']:.4f}. "
        f"Reference point: {reference[MACS.name]:,.0f} MACs, error {reference['error']:.4f}."
    )
    table.caption_justify = "left"
    return table


def _size_text(about: Mapping[str, Any]) -> str:
    """Return the number of architectures, and of the networks that a surrogate is fitted to."""
    if "surrogate" not in about:
        return f"{about['architectures']} architectures"
    return f"{about['architectures']:.3g} architectures, predicted from {about['surrogate']['networks']}"


def interval_text(found: Mapping[str, float | None], horizon: float) -> str:
    """Return a median with its interval.

    >>> interval_text({"median": 12.34, "low": 9.0, "high": None}, 100.0)
    '12.3 [9.0, >100]'
    """
    low, high = bounded_text(found["low"], horizon), bounded_text(found["high"], horizon)
    return f"{bounded_text(found['median'], horizon)} [{low}, {high}]"


def bounded_text(value: float | None, horizon: float) -> str:
    """Return a number in few digits; None, for a goal that was not reached, as more than the horizon."""
    if value is None:
        return f">{horizon:g}"
    return f"{value:.1f}" if abs(value) >= 2 else f"{value:.3f}"


def draw_rehearsals(panels: Mapping[str, Sequence[Band]], bounds: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw the gap to the true front over the cost of searches, on logarithmic axes, as a PNG file.

    Args:
        panels: strategies by the panel's title.
        bounds: `oracle` and `ceiling` of each panel, by its title.
        path: the file.
    """
    figure = Figure(figsize=(8.0 * len(panels), 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    panel_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, bands) in zip(panel_axes, panels.items(), strict=True):
        _draw_panel(axes, bands, bounds[title])
        axes.set_title(title, parse_math=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path, follow_link=True) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def _draw_panel(axes: Axes, bands: Sequence[Band], bounds: Mapping[str, Any]) -> None:
    for number, band in enumerate(bands):
        color, dashed = f"C{number // 2 % 10}", number % 2 == 1 and len(bands) > 2
        gaps = [[max(1.0 - share, MIN_GAP) for share in shares] for shares in (band.median, band.high, band.low)]
        axes.step(band.spent, gaps[0], where="post", color=color, linestyle="--" if dashed else "-", label=band.name)
        axes.fill_between(band.spent, gaps[1], gaps[2], step="post", color=color, alpha=0.1, linewidth=0)
    steps = [(spent, max(1.0 - share, MIN_GAP)) for spent, share in bounds["oracle"]["curve"]]
    if steps:
        axes.step(*zip(*steps, strict=True), where="post", color="0.3", linestyle=":", label="oracle")
    if bounds["ceiling"] < 1:
        axes.axhline(1.0 - bounds["ceiling"], color="0.6", linestyle="-.", label="all networks, by one seed")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(top=1.05)
    axes.set_xlim(right=max((band.spent[-1] for band in bands), default=math.inf))
    axes.set_xlabel("full-training equivalents")
    axes.set_ylabel("gap to the true front's hypervolume")
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="lower left", fontsize="small")
