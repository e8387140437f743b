"""Measures that the axes of a study's page can show, and the limits on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.objectives.pareto import Axis
from nas.reports.measures import CURVES, MACS, SHARES, axis_title, title
from nas.study.trial import Record


def shown_axes(axes: Sequence[Axis], costs: Sequence[str]) -> tuple[str, str]:
    """Return the measures on the x and y axes: the first objective that is minimised, and the first that is no cost.

    A study of one objective is shown over MACs; a study of costs alone over its first two, or over the trials.

    Args:
        axes: the objectives.
        costs: names of all costs.
    """
    names = [axis.name for axis in axes]
    y = next((name for name in names if name not in costs), names[0])
    x = next((axis.name for axis in axes if axis.direction == "minimize" and axis.name != y), None)
    return x or (MACS if y not in costs else "trial"), y


def limits_of(records: Sequence[Record]) -> dict[str, float]:
    """Return the limits of the latest trial by cost: each is the trial's cost minus its constraint value."""
    if not records:
        return {}
    candidate = records[-1].candidate
    exceeded = {name.removeprefix("max_"): excess for name, excess in candidate.constraints.items()}
    return {
        cost: _rounded(candidate.costs[cost] - excess) for cost, excess in exceeded.items() if cost in candidate.costs
    }


def measures(costs: Sequence[str], axes: Sequence[Axis]) -> dict[str, Any]:
    """Return the measures that an axis can show: objectives, then costs, results of training and the trial's number.

    Args:
        costs: names of all costs.
        axes: the objectives.
    """
    logarithmic = {axis.name: axis.log for axis in axes}
    titles = {axis.name: axis_title(axis) for axis in axes}
    names = dict.fromkeys([*logarithmic, *costs, *CURVES[:3], "seconds", "trial"])
    return {
        name: {
            "title": titles.get(name, title(name)),
            "log": logarithmic.get(name, name in costs),
            "share": name in SHARES,
        }
        for name in names
    }


def _rounded(value: float) -> float:
    """Return a difference with 12 significant digits, without the rounding error of the subtraction."""
    result = float(f"{value:.12g}")
    return int(result) if result.is_integer() else result
