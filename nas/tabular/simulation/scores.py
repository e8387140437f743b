"""Scores of simulated searches: share of the true front's hypervolume over the training spent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nas.tabular.simulation.trace import SearchTrace
from nas.tabular.simulation.truth import Truth, members

GOALS = (0.8, 0.9, 0.95)
"""Shares of the true front's hypervolume for which the training needed is reported."""

SMALLEST_GAP = 1e-3
"""Lower bound of the gap: the logarithm of a vanishing one would outweigh everything else."""

Steps = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Score:
    """Score of one search over a horizon.

    Attributes:
        curve: full-training equivalents, ascending, each with the share of the true front's hypervolume from then on.
        horizon: full-training equivalents over which the search is scored, positive.
    """

    curve: Steps
    horizon: float

    def reached(self, goal: float) -> float:
        """Return the full-training equivalents until the share is first at least `goal`, infinite if it never is."""
        return next((spent for spent, share in self.curve if share >= goal), math.inf)

    @property
    def area(self) -> float:
        """Mean over the horizon of log10(1 - share): 0 if nothing is found, -1 for a gap of a tenth."""
        starts = [0.0, *(spent for spent, _ in self.curve)]
        gaps = [1.0, *(1.0 - share for _, share in self.curve)]
        ends = [*starts[1:], self.horizon]
        widths = [end - start for start, end in zip(starts, ends, strict=True)]
        total = math.fsum(w * math.log10(max(gap, SMALLEST_GAP)) for w, gap in zip(widths, gaps, strict=True))
        return total / self.horizon

    @property
    def share(self) -> float:
        """Share at the end of the horizon."""
        return self.curve[-1][1] if self.curve else 0.0

    def at(self, spent: float) -> float:
        """Return the share after `spent` full-training equivalents."""
        return next((share for start, share in reversed(self.curve) if start <= spent), 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return the score as a JSON object; null stands for a goal that was never reached."""
        reached = {f"{goal:g}": self.reached(goal) for goal in GOALS}
        return {
            "reached": {goal: spent if math.isfinite(spent) else None for goal, spent in reached.items()},
            "area": self.area,
            "share": self.share,
            "curve": [list(step) for step in self.curve],
        }


def score(trace: SearchTrace, truth: Truth, horizon: float, *, charge_driver: bool = False) -> Score:
    """Return the score of a simulated search.

    Args:
        trace: of the search.
        truth: ground truth of its table.
        horizon: full-training equivalents over which it is scored, positive; later snapshots are ignored.
        charge_driver: whether the driver's processor seconds are charged as well as the trainings'.
    """
    shares: dict[tuple[str, ...], float] = {}
    steps = []
    for snapshot in trace.snapshots:
        if snapshot.front not in shares:
            shares[snapshot.front] = truth.share(snapshot.front, trace.judged)
        seconds = snapshot.training_seconds + (snapshot.driver_seconds if charge_driver else 0.0)
        steps.append((seconds / truth.full_training, shares[snapshot.front]))
    return Score(_distinct_steps(steps, horizon), horizon)


def oracle(truth: Truth, horizon: float) -> Score:
    """Return the score of a search that knows every network's mean test accuracy.

    It trains the true front alone, at each step the network that adds the most hypervolume a second, and returns the
    true front of the trained ones. Another search does better only by chance.
    """
    taken, spent, steps = list[str](), 0.0, []
    for name in oracle_order(truth):
        taken.append(name)
        spent += truth.seconds[name]
        steps.append((spent / truth.full_training, truth.share(taken)))
    return Score(_distinct_steps(steps, horizon), horizon)


def oracle_order(truth: Truth) -> list[str]:
    """Return the true front in the order of `oracle`, without the networks that add nothing in the box."""
    left, taken = list(truth.front), list[str]()
    while left:
        before = truth.share(taken)
        gains = {name: (truth.share([*taken, name]) - before) / truth.seconds[name] for name in left}
        best = max(left, key=gains.__getitem__)
        if gains[best] <= 0:
            break
        left.remove(best)
        taken.append(best)
    return taken


def ceiling(seen: Mapping[str, Mapping[str, float]], truth: Truth) -> float:
    """Return the share of a search that trains every network and returns the front by validation error.

    Args:
        seen: `macs` and the validation `error` of every network, by identity.
        truth: ground truth of the same networks.
    """
    return truth.share(members(seen, truth.axes))


def _distinct_steps(steps: Iterable[tuple[float, float]], horizon: float) -> Steps:
    """Return the steps within the horizon at which the share changes."""
    kept: list[tuple[float, float]] = []
    for spent, share in steps:
        if spent <= horizon and (not kept or kept[-1][1] != share):
            kept.append((spent, share))
    return tuple(kept)
