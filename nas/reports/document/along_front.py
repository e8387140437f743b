"""Choices that a cost follows from along the front: the share of its spread that each explains by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.objectives.pareto import Axis
from nas.reports.document.importance import MIN_TRIALS, SHUFFLES, TREND, rank_correlation
from nas.study.belief.surrogate import regrets
from nas.study.trial import Record

SHARE, LEAST, MOST = 0.2, 30, 300
"""Networks nearest to the front that are looked at: their share of all, and how many at least and at most."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Explained:
    """Choices of the networks along a front, by the share of the spread of a cost that each explains.

    Attributes:
        trials: number of networks.
        choices: the choices as JSON values, those beyond chance first; empty for few networks.
    """

    trials: int
    choices: Sequence[Mapping[str, Any]]


def explained(records: Sequence[Record], axis: Axis, cost: str) -> Explained:
    """Return the choices that a cost follows from, among the networks nearest to its front.

    The share is that of the variance of the cost's logarithm between the options of a choice (η²); an absent choice is
    an option too. Chance is the highest share of `SHUFFLES` shuffles of the costs.

    Args:
        records: the trials of a study.
        axis: the objective over the cost, by which a network is near the front.
        cost: name of the cost.
    """
    near = near_front(records, axis, cost)
    if len(near) < MIN_TRIALS:
        return Explained(len(near), ())
    logs = np.log(np.maximum([float(record.candidate.costs[cost]) for record in near], 1e-12))
    if np.ptp(logs) == 0:
        return Explained(len(near), ())
    rows = [record.candidate.params for record in near]
    generator = np.random.default_rng(0)
    shuffled = np.stack([logs, *(generator.permutation(logs) for _ in range(SHUFFLES))])
    found = [_choice(path, [row.get(path) for row in rows], shuffled) for path in _paths(rows)]
    found.sort(key=lambda one: (not one["above_chance"], -one["share"], one["path"]))
    return Explained(len(near), found)


def near_front(records: Sequence[Record], axis: Axis, cost: str) -> list[Record]:
    """Return the complete trials that are nearest to the front of an objective over a cost.

    Args:
        records: the trials of a study.
        axis: the objective.
        cost: name of the cost.
    """
    complete = [record for record in records if record.values is not None and cost in record.candidate.costs]
    if not complete:
        return []
    losses = axis.losses(np.array([(record.values or {})[axis.name] for record in complete]))
    costs = np.array([[float(record.candidate.costs[cost])] for record in complete])
    count = int(np.clip(SHARE * len(complete), LEAST, MOST))
    places = np.argsort(regrets(losses, costs), kind="stable")[:count]
    return [complete[place] for place in sorted(places)]


def _paths(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the paths of the choices in which some networks differ."""
    paths = dict.fromkeys(path for row in rows for path in row)
    return [path for path in paths if len({row.get(path) for row in rows}) > 1]


def _choice(path: str, options: Sequence[Any], logs: Floats) -> dict[str, Any]:
    """Return the share of the variance between the options of a choice as JSON values.

    Args:
        path: path of the choice.
        options: (n) option of each network, None where the choice is absent.
        logs: (1 + shuffles, n) the costs' logarithms, and shuffles of them.
    """
    names = list(dict.fromkeys(options))
    places = np.array([names.index(option) for option in options])
    member = (places[:, None] == np.arange(len(names))).astype(float)
    counts = member.sum(0)
    means = logs @ member / counts
    between = ((means - logs.mean(1, keepdims=True)) ** 2 * counts).sum(1)
    share, *chance = between / (logs.var(1) * logs.shape[1])
    return {
        "path": path,
        "share": round(float(share), 4),
        "chance": round(float(max(chance)), 4),
        "above_chance": bool(share > max(chance)),
        "active": sum(option is not None for option in options),
        "effect": _effect(names, means[0], options, logs[0]),
    }


def _effect(names: Sequence[Any], means: Floats, options: Sequence[Any], logs: Floats) -> str:
    """Return the effect in words: a rank correlation of numbers, else the cheapest option."""
    there = [place for place, option in enumerate(options) if option is not None]
    numbers = [options[place] for place in there]
    if all(isinstance(option, int | float) and not isinstance(option, bool) for option in numbers):
        correlation = rank_correlation(numbers, [float(logs[place]) for place in there])
        if abs(correlation) >= TREND:
            trend = "more costs more" if correlation > 0 else "more costs less"
            return f"{trend}, ρ {correlation:+.2f}".replace("-", "−")
    cheapest = names[int(means.argmin())]
    return "cheapest when absent" if cheapest is None else f"cheapest with {cheapest}"
