"""Hyperband, asynchronous and multi-objective (Li et al. 2018, algorithm 1; Li et al. 2020).

One bracket of successive halving stops trials early at the risk of losing one that learns slowly, another trains fewer
of them for longer. Hyperband runs brackets s = s_max, ..., 0 side by side and spends about the same on each. With R the
epochs of a full training and η the reduction factor,

    r_s = R η^−s               epochs of the first rung of bracket s
    n_s = ⌈(s_max + 1) / (s + 1) · η^s⌉    trials of bracket s for each n_0 = s_max + 1 of bracket 0

Within a bracket, trials are promoted asynchronously by non-dominated sorting (`halving.py`). The bracket of a trial
follows from its number, and every beginning of a search has the brackets in their shares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import final

from nas.fidelity.factory import Horizon
from nas.fidelity.halving import Halving
from nas.fidelity.policy import Decision, Prune, Standing, Start, Thaw
from nas.fidelity.prediction import predict_unfinished
from nas.fidelity.rungs import resume_interrupted
from nas.study.trial import Expected, Record


@final
class Hyperband:
    """Policy that runs brackets of asynchronous successive halving side by side."""

    def __init__(self, horizon: Horizon, least: float, reduction: float) -> None:
        """Make the policy.

        Args:
            horizon: full training and objectives.
            least: share of a full training that the first rung of any bracket must have, in (0, 1).
            reduction: η, the reduction factor, above 1.

        Raises:
            ValueError: a value is out of range.
        """
        if not 0 < least < 1:
            raise ValueError(f"fidelity.options.least must lie in (0, 1), got {least}")
        self._horizon = horizon
        self._brackets = [Halving(horizon, rungs, reduction) for rungs in brackets(horizon.epochs, least, reduction)]
        self._cycle = spread(bracket_sizes(len(self._brackets) - 1, reduction))

    def decide(self, standing: Standing) -> Decision | None:
        """Return an interrupted job first, then a promotion, then a new trial; at the end the others are pruned."""
        parts = [self._part(standing, index) for index in range(len(self._brackets))]
        for bracket, part in zip(self._brackets, parts, strict=True):
            if resumed := resume_interrupted(part, bracket.rungs):
                return resumed
        if promoted := self._promotion(parts):
            return promoted
        if standing.may_start:
            return Start(self._brackets[self.bracket_of(len(standing.records))].rungs[0])
        return Prune(standing.waiting[0].number) if standing.waiting else None

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:
        """Return the predicted ends of trials that wait at a rung or were pruned there."""
        return predict_unfinished(self._horizon, records, self._brackets[0].rungs[0])

    def bracket_of(self, number: int) -> int:
        """Return the index of a trial's bracket; 0 has the earliest rung."""
        return self._cycle[number % len(self._cycle)]

    def _part(self, standing: Standing, bracket: int) -> Standing:
        """Return the standing with the trials of one bracket alone."""
        records = {number: record for number, record in standing.records.items() if self.bracket_of(number) == bracket}
        return replace(standing, records=records, waiting=[r for r in standing.waiting if r.number in records])

    def _promotion(self, parts: Sequence[Standing]) -> Thaw | None:
        """Return the promotion to the highest rung over all brackets, None if none is due."""
        pairs = zip(self._brackets, parts, strict=True)
        due = [bracket.promotion(part.waiting, part.records.values()) for bracket, part in pairs]
        return max((thaw for thaw in due if thaw is not None), key=lambda thaw: thaw.to_epoch, default=None)


def brackets(epochs: int, least: float, reduction: float) -> list[tuple[int, ...]]:
    """Return the rungs of every bracket in epochs, the bracket with the earliest rung first.

    Args:
        epochs: R, epochs of a full training, at least 1.
        least: share of a full training that a first rung must have, in (0, 1); it has an epoch at least.
        reduction: η, the reduction factor, above 1.

    Raises:
        ValueError: `reduction` is not above 1.

    >>> brackets(27, 1 / 9, 3.0)
    [(3, 9, 27), (9, 27), (27,)]
    """
    if not reduction > 1:
        raise ValueError(f"fidelity.options.reduction must be above 1, got {reduction}")
    most = math.floor(math.log(min(1 / least, epochs), reduction) + 1e-9)  # s_max; log(27, 3) is 3.0000000000000004
    levels = [round(epochs * reduction**-s) for s in range(most, -1, -1)]
    return [tuple(sorted(set(levels[index:]))) for index in range(len(levels))]


def bracket_sizes(most: int, reduction: float) -> list[int]:
    """Return n_s, the trials of brackets s = `most`, ..., 0 in one round of Hyperband.

    >>> bracket_sizes(4, 3.0)
    [81, 34, 15, 8, 5]
    """
    return [math.ceil((most + 1) / (s + 1) * reduction**s - 1e-9) for s in range(most, -1, -1)]


def spread(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return indices, each as often as its size says, so that every beginning has them about in these shares.

    >>> spread([3, 2, 1])
    (0, 1, 0, 2, 1, 0)
    """
    total, order = sum(sizes), list[int]()
    for position in range(1, total + 1):
        lack = [size * position / total - order.count(index) for index, size in enumerate(sizes)]
        order.append(lack.index(max(lack)))
    return tuple(order)


def make(horizon: Horizon, least: float = 1 / 9, reduction: float = 3.0) -> Hyperband:
    """Return the policy."""
    return Hyperband(horizon, least, reduction)
