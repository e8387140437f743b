"""How good a rehearsal was: how soon it came how near to the true front."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nas.tabular.simulation.simulate import Trace
from nas.tabular.simulation.truth import Truth, members

GOALS = (0.8, 0.9, 0.95)
"""Shares of the true front's hypervolume whose costs are told."""

SMALLEST_GAP = 1e-3
"""A gap below this counts as this: the logarithm of none at all would outweigh everything else."""

Steps = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Score:
    """How one search did over a horizon.

    Attributes:
        curve: full-training equivalents and the share of the true front's hypervolume from then on; ascending.
        horizon: full-training equivalents over which it is judged, positive.
    """

    curve: Steps
    horizon: float

    def reached(self, goal: float) -> float:
        """Full-training equivalents after which the share was first at least `goal`; infinite where it never was."""
        return next((spent for spent, share in self.curve if share >= goal), math.inf)

    @property
    def area(self) -> float:
        """Mean over the horizon of log10 of the gap 1 - share: 0 for nothing found, -1 for a gap of a tenth."""
        starts = [0.0, *(spent for spent, _ in self.curve)]
        gaps = [1.0, *(1.0 - share for _, share in self.curve)]
        ends = [*starts[1:], self.horizon]
        widths = [end - start for start, end in zip(starts, ends, strict=True)]
        total = math.fsum(w * math.log10(max(gap, SMALLEST_GAP)) for w, gap in zip(widths, gaps, strict=True))
        return total / self.horizon

    @property
    def share(self) -> float:
        """The share at the end of the horizon."""
        return self.curve[-1][1] if self.curve else 0.0

    def at(self, spent: float) -> float:
        """The share after `spent` full-training equivalents."""
        return next((share for start, share in reversed(self.curve) if start <= spent), 0.0)

    def to_json(self) -> dict[str, Any]:
        """The score as a JSON object; what was never reached is null."""
        reached = {f"{goal:g}": self.reached(goal) for goal in GOALS}
        return {
            "reached": {goal: spent if math.isfinite(spent) else None for goal, spent in reached.items()},
            "area": self.area,
            "share": self.share,
            "curve": [list(step) for step in self.curve],
        }


def score(trace: Trace, truth: Truth, horizon: float, *, thinking: bool = False) -> Score:
    """What a rehearsal's trace is worth.

    Args:
        trace: the rehearsal.
        truth: about the networks of its table.
        horizon: full-training equivalents over which it is judged, positive; what comes later counts for nothing.
        thinking: whether the driver's own seconds are charged beside the trainings'.
    """
    shares: dict[tuple[str, ...], float] = {}
    steps = []
    for step in trace.steps:
        if step.front not in shares:
            shares[step.front] = truth.share(step.front)
        seconds = step.seconds + (step.thinking if thinking else 0.0)
        steps.append((seconds / truth.full_training, shares[step.front]))
    return Score(_stairs(steps, horizon), horizon)


def oracle(truth: Truth, horizon: float) -> Score:
    """A search that knows every mean: it trains the true front alone, what adds most a second first.

    No search can do better but by luck: it pays one full training a network, and returns what is best by the truth.
    """
    left, taken, spent, steps = list(truth.front), list[str](), 0.0, []
    while left:
        before = truth.share(taken)
        gains = {name: (truth.share([*taken, name]) - before) / truth.seconds[name] for name in left}
        best = max(left, key=gains.__getitem__)
        if gains[best] <= 0:
            break
        left.remove(best)
        taken.append(best)
        spent += truth.seconds[best]
        steps.append((spent / truth.full_training, truth.share(taken)))
    return Score(_stairs(steps, horizon), horizon)


def ceiling(seen: Mapping[str, Mapping[str, float]], truth: Truth) -> float:
    """The share of a search that has trained everything, and returns the front by what it saw.

    Args:
        seen: `macs` and the validation `error` of every network of the truth, by identity.
        truth: about them.
    """
    return truth.share(members(seen, truth.axes))


def _stairs(steps: Iterable[tuple[float, float]], horizon: float) -> Steps:
    """Only the steps at which the share changes, within the horizon."""
    kept: list[tuple[float, float]] = []
    for spent, share in steps:
        if spent <= horizon and (not kept or kept[-1][1] != share):
            kept.append((spent, share))
    return tuple(kept)
