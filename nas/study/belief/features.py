"""Features of networks for a surrogate: choices of the architecture, their averages over all blocks, and costs."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import final

import numpy as np

from nas.study.belief.gp import Floats, Layout, group_columns
from search_space.architecture import Architecture
from search_space.choices import FirstChooser, Ordinal, ReplayChooser
from search_space.encoding import columns
from search_space.space import POSITION, Space

Costs = Callable[[Architecture], Mapping[str, float]]
"""Returns the costs of an architecture by name, all positive."""

SCALE_DRAWS = 48
"""Random networks of which the range of each cost is taken, beside those of all first and all last options."""

SLOPE = 0.25
"""Prior fall of the loss with the logarithm of each cost, both standardised: networks that cost more err less. On both
of our tables, regressions of the logarithm of the error on the standardised costs gave a sum of 0.74 and 0.89."""


@final
class FeatureMap:
    """Map from architectures of a space to feature vectors.

    The columns are the encoding (`search_space/encoding.py`), the encoding averaged over all blocks, and the logarithms
    of the costs, scaled so that the space's range has mean 0 and, if it were filled evenly, a standard deviation of 1.
    """

    def __init__(self, space: Space, costs: Costs) -> None:
        """Make a map.

        Args:
            space: the space of the architectures.
            costs: returns the costs of an architecture; the same names for each.
        """
        self.space = space
        self._costs = costs
        names = columns(space)
        without_block = [POSITION.sub("", name) for name in names]
        groups = group_columns(without_block)
        averages = [f"average {_choice(without_block[group[0]])}" for group in groups]
        self._names = [_choice(name) for name in names] + averages
        self._encoded = len(names)
        self._average = np.zeros((len(names), len(groups)))
        for column, group in enumerate(groups):
            self._average[list(group), column] = 1 / len(group)
        self._numbers = _numbers(space)

    def rows(self, architectures: Sequence[Architecture], costs: Sequence[Mapping[str, float]]) -> Floats:
        """Return the features (n, f) of normalised architectures of the space.

        Args:
            architectures: the architectures, at least one.
            costs: the costs of each, under the names that the map was made with.

        Raises:
            SpaceError: an architecture has a choice that is not of the space.
        """
        code = np.zeros((len(architectures), self._encoded))
        for row, architecture in enumerate(architectures):
            for path, value in self.space.choices(architecture).items():
                for column, number in self._numbers.get((path, value), ()):
                    code[row, column] = number
        centre, spread = self._cost_scale
        logs = (_logs(costs, self.cost_names) - centre) / spread
        return np.hstack([code, code @ self._average, logs])

    @cached_property
    def layout(self) -> Layout:
        """Roles of the columns: those of one choice share a length scale; the costs have a trend."""
        count = len(self.cost_names)
        trend = range(len(self._names), len(self._names) + count)
        return Layout(group_columns([*self._names, *["costs"] * count]), tuple(trend), SLOPE)

    @cached_property
    def cost_names(self) -> tuple[str, ...]:
        """Names of the costs, in the order of their columns."""
        return tuple(self._costs(self.space.sample(FirstChooser())))

    @cached_property
    def _cost_scale(self) -> tuple[Floats, Floats]:
        """Centre and spread of the logarithm of each cost."""
        generator, space = random.Random(0), self.space
        last = {parameter.path: parameter.choice.options[-1] for parameter in space.parameters}
        ends = [space.sample(FirstChooser()), space.sample(ReplayChooser(last, FirstChooser()))]
        known = [self._costs(each) for each in (*ends, *(space.draw(generator) for _ in range(SCALE_DRAWS)))]
        logs = _logs(known, self.cost_names)
        low, high = logs.min(axis=0), logs.max(axis=0)
        spread = (high - low) / np.sqrt(12)
        return (low + high) / 2, np.where(spread > 1e-9, spread, 1.0)


def _logs(costs: Sequence[Mapping[str, float]], names: Sequence[str]) -> Floats:
    """Return the logarithms to base 10 of the costs (n, c) of n networks."""
    table = np.array([[each[name] for name in names] for each in costs], dtype=np.float64)
    return np.log10(np.maximum(table, 1e-9))


def _numbers(space: Space) -> dict[tuple[str, object], tuple[tuple[int, float], ...]]:
    """Return the numbers of each choice in an encoding, by path and option: pairs of a column and its number."""
    found: dict[tuple[str, object], tuple[tuple[int, float], ...]] = {}
    column = 0
    for parameter in space.parameters:
        options = parameter.choice.options
        for place, option in enumerate(options):
            if isinstance(parameter.choice, Ordinal):
                low, high = options[0], options[-1]
                share = (float(option) - float(low)) / (float(high) - float(low))
                found[parameter.path, option] = ((column, 1.0), (column + 1, share))
            else:
                found[parameter.path, option] = ((column + place, 1.0),)
        column += 2 if isinstance(parameter.choice, Ordinal) else len(options)
    return found


def _choice(name: str) -> str:
    """Return the choice that a column of an encoding stands for: the last word of its path.

    >>> _choice("stage0.block1.k5.factorization=stacked")
    'factorization'
    """
    return re.split(r"[?=]", name)[0].rpartition(".")[2]
