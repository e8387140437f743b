"""Prior over the choices of a space, whose weight decays with the trainings.

Hvarfner et al. 2022, "πBO: Augmenting Acquisition Functions with User Beliefs for Bayesian Optimization": after n
evaluations the acquisition value is multiplied by the prior density to the power β / n, so that a good prior speeds the
beginning up and a wrong one is forgotten. Samplers that draw at random draw from the prior to that power, at most 1.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TypeVar, final

from nas.config.prior import PriorSpec
from search_space.architecture import Architecture
from search_space.choices import Value
from search_space.space import Space

T = TypeVar("T", bound=Value)


@final
@dataclass(frozen=True)
class Prior:
    """Independent distributions over the options of some choices; the others are uniform.

    Attributes:
        space: space of the choices.
        weight: β, the exponent of the density after one training.
        shares: probability of every option, by the choice's path, for choices that are not uniform.
    """

    space: Space
    weight: float
    shares: Mapping[str, Mapping[Value, float]]

    def exponent(self, trainings: int) -> float:
        """Return β / n, the power of the density after n trainings; β before the first one."""
        return self.weight / max(1, trainings)

    def log_density(self, architecture: Architecture) -> float:
        """Return the logarithm of the density of an architecture over that of a draw of uniform choices.

        Choices that the architecture does not make count for nothing, so deep networks are not less likely as such.

        Args:
            architecture: a normalised architecture of the space.
        """
        reading = _Reading(self.space.assignments(architecture), self.shares)
        self.space.sample(reading)
        return reading.total

    def draw(self, generator: random.Random, trainings: int = 0) -> Architecture:
        """Return a random architecture, drawn from the density to the power that counts after n trainings, at most 1.

        Args:
            generator: source of randomness.
            trainings: n, at least 0.
        """
        return self.space.sample(_Drawing(generator, self.shares, min(1.0, self.exponent(trainings))))


def prior_of(spec: PriorSpec, space: Space) -> Prior | None:
    """Return the prior that a configuration describes, None if it prefers no option.

    Raises:
        ValueError: a pattern that matches no choice of the space, or an option that none of these offers.
    """
    weights: dict[str, Mapping[str, float]] = {}
    options = {parameter.path: parameter.choice.options for parameter in space.parameters}
    for pattern, given in spec.choices.items():
        matched = [path for path in options if fnmatchcase(path, pattern)]
        if not matched:
            raise ValueError(f"prior.choices must match choices of {space.name}, {_some(options)}; got {pattern!r}")
        offered = {str(option) for path in matched for option in options[path]}
        named = {str(option): float(weight) for option, weight in given.items()}
        unknown = [option for option in named if option not in offered]
        if unknown:
            raise ValueError(f"{pattern} of prior.choices offers {', '.join(sorted(offered))}, got {unknown[0]!r}")
        weights |= dict.fromkeys(matched, named)
    if not weights or spec.weight == 0:
        return None
    return Prior(space, spec.weight, {path: _shares(options[path], named) for path, named in weights.items()})


def _some(options: Mapping[str, object]) -> str:
    return f"such as {', '.join(list(options)[:3])}" if options else "of which it has none"


def _shares(options: tuple[Value, ...], weights: Mapping[str, float]) -> dict[Value, float]:
    given = [weights.get(str(option), 1.0) for option in options]
    return {option: weight / sum(given) for option, weight in zip(options, given, strict=True)}


@final
class _Reading:
    """Chooser that makes recorded choices, and sums the logarithms of their densities."""

    def __init__(self, chosen: Mapping[str, Value], shares: Mapping[str, Mapping[Value, float]]) -> None:
        self._chosen = chosen
        self._shares = shares
        self.total = 0.0

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """Return the recorded one of `options`."""
        return int(self.option(path, options))

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        """Return the recorded one of `options`."""
        value = self._chosen[path]
        if path in self._shares:
            self.total += math.log(self._shares[path][value] * len(options))
        return value


@final
class _Drawing:
    """Chooser that draws every option with its share to a power."""

    def __init__(self, generator: random.Random, shares: Mapping[str, Mapping[Value, float]], power: float) -> None:
        self._generator = generator
        self._shares = shares
        self._power = power

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """Draw one of `options`."""
        return self._draw(path, options)

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        """Draw one of `options`."""
        return self._draw(path, options)

    def _draw(self, path: str, options: tuple[T, ...]) -> T:
        if path not in self._shares:
            return self._generator.choice(options)
        weights = [self._shares[path][option] ** self._power for option in options]
        return self._generator.choices(options, weights)[0]
