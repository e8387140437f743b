"""Selection of the best of several trials under several objectives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.objectives.pareto import front


def select_best(points: NDArray[np.float64], count: int) -> list[int]:
    """Return the indices of the `count` best points: front by front of a non-dominated sorting.

    Of the front that does not fit whole, each next point is the one farthest from those selected before, an epsilon-net
    (Schmucker et al. 2021, "Multi-objective Asynchronous Successive Halving"); the first of all is the best on the
    first axis. Of equal points each stands in a front of its own, so that copies of one result do not fill a front.

    Args:
        points: losses (n, m), minimised; a point with a NaN is behind all others.
        count: number of points, at least 0; all points if there are fewer.

    >>> select_best(np.array([[0.0, 1.0], [0.1, 0.9], [1.0, 0.0], [0.5, 1.0]]), 2)
    [0, 2]
    """
    left, selected = list(range(len(points))), list[int]()
    while left and len(selected) < count:
        best = [left[index] for index in front(points[left])] or left  # a point with a NaN is on no front
        left = [index for index in left if index not in best]
        room = count - len(selected)
        selected += best if len(best) <= room else _epsilon_net(points, selected, best, room)
    return selected


def _epsilon_net(points: NDArray[np.float64], selected: list[int], layer: list[int], count: int) -> list[int]:
    """Return `count` points of a front, each the farthest from all that are selected before it."""
    taken = [] if selected else [layer[0]]
    while len(taken) < count:
        rest = [index for index in layer if index not in taken]
        around = points[[*selected, *taken]]
        taken.append(max(rest, key=lambda index: float(np.linalg.norm(around - points[index], axis=1).min())))
    return taken
