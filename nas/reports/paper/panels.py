"""The figures, each drawn from the document of a study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nas.reports.measures import SHARES, title
from nas.reports.paper.scales import Scale
from nas.reports.paper.style import CURVES, DARK, FAINT, WARM, panel
from nas.study.belief.gp import evenly
from nas.study.trial import State

Document = Mapping[str, Any]
Row = Mapping[str, Any]
CHOICES_SHOWN = 12
OTHERS_SHOWN = 200
"""Learning curves of networks that are not on the front, at most; they are evenly spaced in the order of the trials."""
TIMES = ((3600.0, "h"), (60.0, "min"), (1.0, "s"))
LONGEST_PATH = 34


def scale_of(document: Document, name: str) -> Scale:
    """Return the scale of a measure: an accuracy as its error on a logarithmic axis."""
    measure = document["measures"][name]
    if name in SHARES:
        return Scale(f"{measure['title'].replace('accuracy', 'error')} (%)", log=True, percent=True, error=True)
    log = measure["log"] and all(row["values"].get(name, 1) > 0 for row in document["trials"])
    return Scale(measure["title"], log=log, percent=measure["share"])


def draw_front(document: Document, width: float) -> Figure:
    """Return the figure of the front: measured networks, the front as believed with its intervals, retrained means."""
    figure, plot = panel(width)
    across, up = scale_of(document, document["x"]), scale_of(document, document["y"])
    x, y = document["x"], document["y"]
    complete = [row for row in document["trials"] if row["state"] == State.COMPLETE and x in row["values"]]
    members = [row for row in complete if row["front"]]
    others = [row for row in complete if not row["front"]]
    seen = [up.shown(row["values"].get(y)) for row in complete]
    places = [across.shown(row["values"][x]) for row in others]
    plot.scatter(places, [up.shown(row["values"].get(y)) for row in others], s=4, color=FAINT, linewidths=0,
                 label=f"dominated (n = {len(others)})")  # fmt: skip
    seen += _believed(plot, members, across, up, (x, y))
    seen += _retrained(plot, document, across, up)
    across.apply(plot, "x", [across.shown(row["values"][x]) for row in complete])
    up.apply(plot, "y", seen)
    if complete:
        plot.legend(loc="best", handlelength=1.4, borderaxespad=0.2)
    return figure


def _believed(plot: Axes, members: Sequence[Row], across: Scale, up: Scale, names: tuple[str, str]) -> list[float]:
    """Draw the front; return the numbers of its vertical axis."""
    x, y = names
    ordered = sorted(members, key=lambda row: row["values"][x])
    places = [across.shown(row["values"][x]) for row in ordered]
    beliefs = [row["believed"] or dict.fromkeys(("mean", "low", "high"), row["values"].get(y)) for row in ordered]
    means = [up.shown(belief["mean"]) for belief in beliefs]
    ends = [sorted((up.shown(belief["low"]), up.shown(belief["high"]))) for belief in beliefs]
    label = f"front (n = {len(members)})"
    label += ", 90 % interval" if any(row["believed"] for row in members) else ""
    plot.vlines(places, [low for low, _ in ends], [high for _, high in ends], color=DARK, linewidth=0.7, alpha=0.6)
    plot.step(places, means, where="post", color=DARK, linewidth=0.8)
    plot.plot(places, means, "o", color=DARK, markersize=3, label=label)
    return [*means, *(end for pair in ends for end in pair)]


def _retrained(plot: Axes, document: Document, across: Scale, up: Scale) -> list[float]:
    """Draw the test means of retrained networks with their spread; return the numbers of the vertical axis."""
    rows = {row["n"]: row for row in document["trials"]}
    means = {int(trial): found["test"] for trial, found in document["retrained"].items() if found.get("test")}
    known = [(rows[trial], mean) for trial, mean in means.items() if trial in rows and mean["mean"] is not None]
    if not known or not up.error:
        return []
    spreads = [mean["std"] or 0.0 for _, mean in known]
    middles = [up.shown(mean["mean"]) for _, mean in known]
    plot.errorbar(
        [across.shown(row["values"][document["x"]]) for row, _ in known], middles, yerr=spreads, fmt="D", color=WARM,
        markersize=3.5, linewidth=0.9, capsize=1.5, markerfacecolor="white", label="retrained, test mean ± sd",
    )  # fmt: skip
    return [middle + sign * spread for middle, spread in zip(middles, spreads, strict=True) for sign in (-1, 0, 1)]


def draw_progress(document: Document, width: float) -> Figure:
    """Return the figure of the hypervolume, or of the best value, over the time of training."""
    figure, plot = panel(width, 0.6)
    progress = document["progress"]
    last = max([0.0, *progress["seconds"]])
    unit, name = next((each for each in TIMES if last >= each[0]), TIMES[-1])
    places = [seconds / unit for seconds in progress["seconds"]]
    measure = progress["measure"]
    up = Scale("hypervolume") if measure == "hypervolume" else scale_of(document, measure)
    numbers = [up.shown(value) for value in progress["values"]]
    plot.step(places, numbers, where="post", color=DARK)
    Scale(f"training time ({name})").apply(plot, "x", [0.0, *places])
    up.apply(plot, "y", numbers)
    return figure


def draw_curves(document: Document, width: float) -> Figure:
    """Return the figure of learning curves: those of the front in the colour of their cost, the others in grey."""
    figure, plot = panel(width)
    name = document["y"] if document["y"] in document["curves"] else next(iter(document["curves"]))
    up = scale_of(document, name)
    costs = {row["n"]: row["values"].get(document["x"]) for row in document["trials"]}
    known = [costs[number] for number in document["front"] if costs[number]]
    norm = (LogNorm if document["measures"][document["x"]]["log"] else Normalize)(
        min(known, default=1.0), max(max(known, default=1.0), 1.001 * min(known, default=1.0))
    )
    colours, last = mpl.colormaps[CURVES].resampled(256), 1
    seen: list[float] = []
    others = [row for row in document["trials"] if not row["front"] and row["epochs"]]
    members = [row for row in document["trials"] if row["front"]]
    for row in [*(others[place] for place in evenly(len(others), OTHERS_SHOWN)), *members]:
        epochs = row.get("at") or list(range(1, row["epochs"] + 1))
        numbers = [up.shown(value) for value in row["curve"][name]]
        front = row["front"] and costs[row["n"]]
        colour = colours(0.85 * norm(costs[row["n"]])) if front else FAINT  # the lightest yellow is hard to see
        plot.plot(epochs, numbers, color=colour, linewidth=1.0 if front else 0.3, zorder=3 if front else 1)
        last = max([last, *epochs])
        seen += numbers
    Scale("epoch", whole=True).apply(plot, "x", [1, last])
    up.apply(plot, "y", _core(seen))
    if known:
        _colour_bar(figure, plot, norm, document["measures"][document["x"]]["title"])
    return figure


def _core(numbers: Sequence[float]) -> list[float]:
    """Return numbers without the highest hundredth: a few that have gone astray leave no room for the others."""
    known = sorted(number for number in numbers if math.isfinite(number))
    return known[: max(1, math.ceil(0.99 * len(known)))]


def _colour_bar(figure: Figure, plot: Axes, norm: Normalize, name: str) -> None:
    colours = mpl.colormaps[CURVES].resampled(256)
    upper = mpl.colors.ListedColormap(colours([0.85 * place / 255 for place in range(256)]))
    bar = figure.colorbar(ScalarMappable(norm, upper), ax=plot, pad=0.02, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.minorticks_off()
    Scale(f"{name} of a network on the front", log=isinstance(norm, LogNorm)).apply(
        bar.ax, "y", [norm.vmin or 1.0, norm.vmax or 1.0]
    )
    bar.ax.set_ylim(norm.vmin, norm.vmax)


def draw_importance(document: Document, measure: str, width: float) -> Figure:
    """Return the figure of the most important choices for a measure, with what chance reaches.

    Args:
        document: the document.
        measure: the measure, of those in `importance`.
        width: width in inches.
    """
    choices = document["importance"]["measures"][measure][:CHOICES_SHOWN]
    figure, plot = panel(width, 0.12 + 0.06 * max(4, len(choices)))
    places = range(len(choices))
    shares = [100 * choice["share"] for choice in choices]
    colours = [DARK if choice["above_chance"] else FAINT for choice in choices]
    plot.barh(places, shares, color=colours, height=0.68)
    chance = [100 * (math.nan if choice["chance"] is None else choice["chance"]) for choice in choices]
    plot.plot(chance, places, "|", color="black", markersize=6, markeredgewidth=1)
    plot.set_yticks(list(places), [_short(choice["path"]) for choice in choices])
    plot.tick_params(axis="y", length=0)
    plot.invert_yaxis()
    plot.grid(visible=False, axis="y")
    label = f"importance for {title(measure)} (%)"
    if measure in document["costs"]:
        label = f"spread of {title(measure)} explained along the front (%)"
    plot.set_xlabel(label, loc="right")
    legend = [
        Line2D([], [], marker="s", linestyle="none", color=DARK, label="beyond chance"),
        Line2D([], [], marker="s", linestyle="none", color=FAINT, label="within chance"),
        Line2D([], [], marker="|", linestyle="none", color="black", label="chance"),
    ]
    figure.legend(handles=legend, loc="outside upper right", ncols=3, handletextpad=0.1, columnspacing=0.8)
    return figure


def _short(path: str) -> str:
    return path if len(path) <= LONGEST_PATH else f"…{path[1 - LONGEST_PATH :]}"
