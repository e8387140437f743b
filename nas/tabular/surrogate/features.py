"""Features of architectures for the models: the encoding, its averages over all blocks, and the logarithms of costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from nas.objectives.requirements import Measure, exact_measure
from search_space.architecture import Architecture
from search_space.encoding import columns, encode
from search_space.space import POSITION, Space

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Described:
    """Architecture with its costs and features.

    Attributes:
        architecture: normalised architecture.
        network_id: identity of its network.
        costs: exact costs by name.
        row: (f,) its features; the costs are the last columns.
    """

    architecture: Architecture
    network_id: str
    costs: Mapping[str, float]
    row: Floats


@final
class Features:
    """Features of the architectures of one space."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self._measure: Measure = exact_measure()
        places: dict[str, list[int]] = {}
        for place, name in enumerate(columns(space)):
            places.setdefault(POSITION.sub("", name), []).append(place)
        self._averaged = [group for group in places.values() if len(group) > 1]

    def describe(self, architecture: Architecture) -> Described:
        """Return an architecture of the space with its costs and features."""
        network_id, costs = self._measure(architecture)
        code = np.array(encode(self.space, architecture))
        averages = [code[group].mean() for group in self._averaged]
        logs = np.log10(np.maximum(list(costs.values()), 1e-9))
        return Described(architecture, network_id, costs, np.concatenate([code, averages, logs]))


def rows(described: Iterable[Described]) -> Floats:
    """Return the features of some architectures: (n, f)."""
    return np.array([each.row for each in described])
