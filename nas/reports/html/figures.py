"""What the figures of the report show, as plain numbers: trials, limits and progress. The page's script draws them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nas.objectives.costs import built_in_costs, title_of
from nas.objectives.costs.macs import COST as MACS
from nas.objectives.pareto import Axis, hypervolume, losses
from nas.study.summary import front_records
from nas.study.trial import Record, State

TITLES = {
    "val_accuracy": "validation accuracy",
    "val_balanced_accuracy": "balanced validation accuracy",
    "val_loss": "validation loss",
    "train_loss": "training loss",
    "seconds": "training seconds",
    "trial": "trial",
}
CURVES = ("val_accuracy", "val_balanced_accuracy", "val_loss", "train_loss")
SHARES = ("val_accuracy", "val_balanced_accuracy")


def title(name: str) -> str:
    """What a measure is called in text.

    >>> title("macs"), title("latency_ms")
    ('MACs', 'latency ms')
    """
    return TITLES.get(name) or title_of(name)


def cost_columns(records: Sequence[Record]) -> list[str]:
    """Return the names of the costs that a study knows."""
    return [name for record in records[:1] for name in record.candidate.costs] or list(built_in_costs().names)


def shown_axes(axes: Sequence[Axis], costs: Sequence[str]) -> tuple[str, str]:
    """The measures along and up: the first cost among the objectives, and the first objective that is none.

    A study of one objective is shown over MACs, a study of costs alone over its first two, or over the trials.
    """
    names = [axis.name for axis in axes]
    up = next((name for name in names if name not in costs), names[0])
    along = next((axis.name for axis in axes if axis.direction == "minimize" and axis.name != up), None)
    return along or (MACS.name if up not in costs else "trial"), up


def figures_document(records: Sequence[Record], axes: Sequence[Axis]) -> dict[str, Any]:
    """Everything that the page's figures are drawn from, as JSON values."""
    front = [record.number for record in front_records(records, axes)]
    along, up = shown_axes(axes, cost_columns(records))
    return {
        "axes": [axis.to_json() | {"title": title(axis.name)} for axis in axes],
        "along": along,
        "up": up,
        "measures": _measures(records, axes),
        "curves": {name: title(name) for name in CURVES},
        "trials": [_trial(record, record.number in front) for record in records],
        "front": front,
        "limits": limits_of(records),
        "progress": progress(records, axes),
        "first": _first(records, front, axes, up),
    }


def limits_of(records: Sequence[Record]) -> dict[str, float]:
    """The limits that the latest trial was held to, by cost: what it costs less by how much it exceeds them."""
    if not records:
        return {}
    candidate = records[-1].candidate
    exceeded = {name.removeprefix("max_"): excess for name, excess in candidate.constraints.items()}
    return {cost: _tidy(candidate.costs[cost] - excess) for cost, excess in exceeded.items() if cost in candidate.costs}


def progress(records: Sequence[Record], axes: Sequence[Axis]) -> dict[str, Any]:
    """How the search got on: hypervolume, or the best value of a single objective, after every trial that ended.

    Returns:
        `measure` (`hypervolume` or the objective's name); lists of equal length: `trials` ended, training `seconds`
        spent until then, and `values`, None before the first complete trial.
    """
    ended = [record for record in records if record.state != State.RUNNING]
    ended.sort(key=lambda record: (record.training.clock or 0.0, record.number))
    known: list[Mapping[str, float]] = []
    seconds, spent = 0.0, []
    values: list[float | None] = []
    for record in ended:
        seconds += record.spent
        spent.append(round(seconds, 3))
        if record.values is not None:
            known.append(record.values)
        values.append(_reached(known, axes) if record.values is not None or not values else values[-1])
    measure = "hypervolume" if len(axes) > 1 else axes[0].name
    return {"measure": measure, "trials": list(range(1, len(ended) + 1)), "seconds": spent, "values": values}


def _reached(known: Sequence[Mapping[str, float]], axes: Sequence[Axis]) -> float | None:
    if not known:
        return None
    if len(axes) > 1:
        return round(hypervolume(losses(axes, known)), 6)
    values = [value[axes[0].name] for value in known]
    return max(values) if axes[0].direction == "maximize" else min(values)


def _measures(records: Sequence[Record], axes: Sequence[Axis]) -> dict[str, Any]:
    """What may stand along an axis: objectives first, then costs and what else is known of a trial."""
    logarithmic = {axis.name: axis.log for axis in axes}
    costs = cost_columns(records)
    names = dict.fromkeys([*logarithmic, *costs, *CURVES[:3], "seconds", "trial"])
    return {
        name: {"title": title(name), "log": logarithmic.get(name, name in costs), "share": name in SHARES}
        for name in names
    }


def _trial(record: Record, on_front: bool) -> dict[str, Any]:
    values: dict[str, Any] = {"trial": record.number, "seconds": round(record.spent, 3)}
    if record.curve:
        last = record.curve[-1]
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


def _first(records: Sequence[Record], front: Sequence[int], axes: Sequence[Axis], up: str) -> int | None:
    """The trial that the page opens with: the best of the front on the upright axis."""
    axis = next(axis for axis in axes if axis.name == up)
    members = [record for record in records if record.number in front and record.values]
    best = min(members, key=lambda record: axis.loss((record.values or {})[up]), default=None)
    return best.number if best else next((record.number for record in records), None)


def _number(value: float) -> float | None:
    """Six digits, which no figure can tell from more; None for what is no number, which JSON doesn't have."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _tidy(value: float) -> float:
    """A difference without the digits that subtracting brought in."""
    rounded = float(f"{value:.12g}")
    return int(rounded) if rounded.is_integer() else rounded
