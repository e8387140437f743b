"""Surrogates of growing studies: hyperparameters are fitted anew at milestones, and data are bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from nas.study.belief.gp import (
    FIT_OBSERVATIONS,
    Floats,
    GaussianProcess,
    Hyperparameters,
    Layout,
    Observations,
    evenly,
    fit_hyperparameters,
)

MOST_OBSERVATIONS = 512
"""Most observations that a process is conditioned on: time grows with their square."""

EVERY_FIT = 8
"""Number of observations up to which the hyperparameters are fitted after each; then after each eighth more of them."""


def milestone(count: int) -> int:
    """Return the largest number of observations, at most `count`, at which hyperparameters are fitted.

    >>> [milestone(count) for count in (1, 8, 9, 10, 300)]
    [1, 8, 9, 10, 289]
    """
    at = EVERY_FIT
    if count <= at:
        return count
    while at + max(1, at // EVERY_FIT) <= count:
        at += max(1, at // EVERY_FIT)
    return at


@final
class SurrogateFitter:
    """Fitter of Gaussian processes to the observations of one study, which become more.

    A process follows from the observations alone: its hyperparameters are those of the first `milestone` measured
    ones. The last hyperparameters are kept, which saves time and changes no result.
    """

    def __init__(self, layout: Layout) -> None:
        """Make a fitter that has fitted nothing yet."""
        self._layout = layout
        self._last: tuple[object, Hyperparameters, tuple[float, float]] | None = None

    def fit(self, observations: Observations, measured: NDArray[np.bool_], keep: Sequence[int]) -> GaussianProcess:
        """Return the process given some observations.

        Args:
            observations: all of them, in order of their trials' numbers; at least one is measured.
            measured: (n,) whether a value was measured, and not predicted from a part of a training.
            keep: rows to condition on, for `MOST_OBSERVATIONS` at most.
        """
        rows = np.flatnonzero(measured)
        first = observations.chosen(rows[: milestone(len(rows))])
        seen = first.thinned(FIT_OBSERVATIONS).x  # the features of the others change nothing, and may be missing
        key = seen.tobytes(), first.y.tobytes(), first.deviations.tobytes(), first.trainings.tobytes()
        if self._last is None or self._last[0] != key:
            self._last = (key, fit_hyperparameters(self._layout, first), first.scale)
        _, hyperparameters, scale = self._last
        return GaussianProcess(self._layout, hyperparameters, observations.chosen(np.array(keep)), *scale)


def fitted(count: int) -> NDArray[np.intp]:
    """Return the rows of `count` measured observations whose features the hyperparameters are fitted to."""
    return evenly(milestone(count), FIT_OBSERVATIONS)


def relevant(losses: Floats, costs: Floats, most: int = MOST_OBSERVATIONS) -> list[int]:
    """Return the rows of at most `most` observations: all, or half near the front and half spread over the others.

    Args:
        losses: (n,) modelled losses.
        costs: (n, k) known losses.
        most: number of rows, at least 2.
    """
    count = len(losses)
    if count <= most:
        return list(range(count))
    near = np.argsort(regrets(losses, costs), kind="stable")[: most // 2]
    others = np.setdiff1d(np.arange(count), near)
    spread = others[np.unique(np.linspace(0, len(others) - 1, most - len(near)).round().astype(int))]
    return sorted(int(row) for row in np.concatenate([near, spread]))


def regrets(losses: Floats, costs: Floats) -> Floats:
    """Return by how much each loss (n,) exceeds the least one at no higher costs (n, k), at least 0."""
    if costs.shape[1] == 1:
        order = np.lexsort((losses, costs[:, 0]))
        least = np.minimum.accumulate(losses[order])
        found = np.empty(len(losses))
        found[order] = losses[order] - least
        return found
    best = np.array([losses[(costs <= cost).all(axis=1)].min() for cost in costs])
    return losses - best  # type: ignore[no-any-return]
