"""Which of half-trained networks go on, when there is more than one objective."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nas.objectives.pareto import front


def best_of(points: NDArray[np.float64], count: int) -> list[int]:
    """Indices of the `count` best points: layer by layer of a non-dominated sorting, and spread within a layer.

    Of the layer that does not fit whole, each next point is the one farthest from those chosen already, an epsilon-net
    (Schmucker et al. 2021, "Multi-objective Asynchronous Successive Halving"); the first of all is the best on the
    first axis.

    Args:
        points: losses (n, m), minimised.
        count: how many, at least 0; all where there are fewer.

    >>> best_of(np.array([[0.0, 1.0], [0.1, 0.9], [1.0, 0.0], [0.5, 1.0]]), 2)
    [0, 2]
    """
    left, chosen = list(range(len(points))), list[int]()
    while left and len(chosen) < count:
        layer = [left[index] for index in front(points[left])] or left  # what has a NaN is on no front
        left = [index for index in left if index not in layer]
        chosen += layer if len(chosen) + len(layer) <= count else _net(points, chosen, layer, count - len(chosen))
    return chosen


def _net(points: NDArray[np.float64], chosen: list[int], layer: list[int], count: int) -> list[int]:
    """`count` of a layer, each the farthest from all that are chosen."""
    taken = [] if chosen else [layer[0]]
    while len(taken) < count:
        rest = [index for index in layer if index not in taken]
        around = points[[*chosen, *taken]]
        taken.append(max(rest, key=lambda index: float(np.linalg.norm(around - points[index], axis=1).min())))
    return taken
