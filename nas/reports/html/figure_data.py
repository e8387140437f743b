"""Data of the report's figures, as JSON values: trials, limits and progress. The page's script draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.jobs import validated_part
from nas.objectives.pareto import Axis, front, hypervolume
from nas.reports.measures import CURVES, MACS, SHARES, axis_title, cost_names, title
from nas.study.belief import Believer
from nas.study.trial import Record, State


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


def figures_document(records: Sequence[Record], believer: Believer) -> dict[str, Any]:
    """Return the data of all figures of the page, as JSON values.

    Args:
        records: the trials of a study.
        believer: its believer, which chooses the front.
    """
    axes = believer.axes
    members = [record.number for record in believer.front(records)]
    on_front = set(members)
    costs = cost_names([record.candidate.costs for record in records])
    x, y = shown_axes(axes, costs)
    return {
        "axes": [axis.to_json() | {"title": axis_title(axis)} for axis in axes],
        "x": x,
        "y": y,
        "measures": _measures(costs, axes),
        "curves": {name: title(name) for name in CURVES},
        "trials": [_trial(record, record.number in on_front) for record in records],
        "front": members,
        "limits": limits_of(records),
        "progress": progress(records, believer),
        "first": _first(records, members, axes, y),
    }


def limits_of(records: Sequence[Record]) -> dict[str, float]:
    """Return the limits of the latest trial by cost: each is the trial's cost minus its constraint value."""
    if not records:
        return {}
    candidate = records[-1].candidate
    exceeded = {name.removeprefix("max_"): excess for name, excess in candidate.constraints.items()}
    return {
        cost: _rounded(candidate.costs[cost] - excess) for cost, excess in exceeded.items() if cost in candidate.costs
    }


def progress(records: Sequence[Record], believer: Believer) -> dict[str, Any]:
    """Return the hypervolume, or the best value of a single objective, after every ended trial.

    A trial counts with what is believed of it now.

    Returns:
        `measure` (`hypervolume` or the objective's name) and lists of equal length: number of ended `trials`, `seconds`
        of training until then, and `values`, None before the first complete trial.
    """
    axes = believer.axes
    ended = [record for record in records if record.state != State.RUNNING]
    ended.sort(key=lambda record: (record.training.clock or 0.0, record.number))
    complete = [record for record in ended if record.values is not None]
    believed = believer.losses(complete)
    known, best = 0, believed[:0]
    seconds, spent = 0.0, []
    values: list[float | None] = []
    for record in ended:
        seconds += record.spent
        spent.append(round(seconds, 3))
        if record.values is not None:
            new, known = believed[known : known + 1], known + 1
            if not (best <= new).all(axis=1).any():  # else it changes nothing
                best = np.vstack([best, new])
                best = best[front(best)]
        values.append(_value_so_far(best, axes) if record.values is not None or not values else values[-1])
    measure = "hypervolume" if len(axes) > 1 else axes[0].name
    return {"measure": measure, "trials": list(range(1, len(ended) + 1)), "seconds": spent, "values": values}


def _value_so_far(known: NDArray[np.float64], axes: Sequence[Axis]) -> float | None:
    if len(known) == 0:
        return None
    if len(axes) > 1:
        return round(hypervolume(known), 6)
    return round(float(axes[0].value(known.min(axis=0))[0]), 6)


def _measures(costs: Sequence[str], axes: Sequence[Axis]) -> dict[str, Any]:
    """Return the measures that an axis can show: objectives, then costs, results of training and the trial's number."""
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


def _trial(record: Record, on_front: bool) -> dict[str, Any]:
    values: dict[str, Any] = {"trial": record.number, "seconds": round(record.spent, 3)}
    if record.curve:
        last = (validated_part(record.curve) or record.curve)[-1]
        values |= {name: _number(getattr(last, name)) for name in CURVES}
    values |= dict(record.candidate.costs) | dict(record.values or {})
    return {
        "n": record.number,
        "id": record.candidate.id,
        "state": str(record.state),
        "front": on_front,
        "summary": record.candidate.summary,
        "values": values,
        "epochs": len(record.curve),
        "curve": {name: [_number(getattr(row, name)) for row in record.curve] for name in CURVES},
        "failure": f"{record.failure.kind}: {record.failure.message}" if record.failure else None,
    }


def _first(records: Sequence[Record], front: Sequence[int], axes: Sequence[Axis], y: str) -> int | None:
    """Return the trial that the page shows first: the member of the front that is best on the y axis."""
    axis = next(axis for axis in axes if axis.name == y)
    members = [record for record in records if record.number in front and record.values]
    best = min(members, key=lambda record: axis.loss((record.values or {})[y]), default=None)
    return best.number if best else next((record.number for record in records), None)


def _number(value: float | None) -> float | None:
    """Return a number with 6 significant digits, enough for a figure; None if it is not finite, which JSON lacks."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def _rounded(value: float) -> float:
    """Return a difference with 12 significant digits, without the rounding error of the subtraction."""
    result = float(f"{value:.12g}")
    return int(result) if result.is_integer() else result
