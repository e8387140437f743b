"""Seconds of an epoch of any network of a space, from those that were timed.

Seconds are a sum of non-negative parts: one for the epoch itself, one for each layer, one for each multiply-accumulate
and one for each value that a layer writes. The weights are those of the least squares of relative errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from search_space.cost import cost
from search_space.graph import Graph, walk

Floats = NDArray[np.float64]

PRIOR_SPREAD, PRIOR_NETWORKS = 0.15, 4
"""Relative error that is believed before a network is timed, and the number of networks that it counts for."""


def work(graph: Graph) -> tuple[float, float, float, float]:
    """Return what the training of a network has to do: 1, layers, multiply-accumulates and values written."""
    visits = list(walk(graph, taps=True))
    written = sum(math.prod((visit.output.channels, visit.output.height, visit.output.width)) for visit in visits)
    return 1.0, float(len(visits)), float(cost(graph).macs), float(written)


@dataclass(frozen=True)
class EpochSeconds:
    """Model of the seconds of an epoch.

    Attributes:
        weights: seconds for each unit of work, as `work` orders them.
        spread: relative error of a prediction, one standard deviation.
    """

    weights: tuple[float, ...]
    spread: float

    def predict(self, graph: Graph) -> float:
        """Return the seconds of an epoch of a network."""
        return max(1e-6, sum(weight * amount for weight, amount in zip(self.weights, work(graph), strict=True)))


def fit(works: Sequence[Sequence[float]], seconds: Sequence[float]) -> EpochSeconds:
    """Return the model that fits timed networks best; at least one.

    >>> model = fit([(1, 5, 100, 10), (1, 9, 900, 40), (1, 20, 300, 90), (1, 7, 50, 20)], [0.2, 1.0, 0.4, 0.15])
    >>> [round(weight, 6) for weight in model.weights]
    [0.1, 0.0, 0.001, 0.0]
    """
    amounts, targets = np.array(works, dtype=float), np.maximum(np.array(seconds, dtype=float), 1e-6)
    scale = amounts.max(axis=0)
    scale[scale == 0] = 1.0
    rows = amounts / scale / targets[:, None]
    weights, _ = nnls(rows, np.ones(len(targets)))
    errors = rows @ weights - 1.0
    free = max(0.0, float(np.sum(errors**2)))
    spread = math.sqrt((free + PRIOR_NETWORKS * PRIOR_SPREAD**2) / (len(targets) + PRIOR_NETWORKS))
    return EpochSeconds(tuple(float(weight) for weight in weights / scale), spread)
