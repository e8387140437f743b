"""Limits on costs: what a network may cost at most, and what that leaves of a space."""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import final

from nas.config.checks import check_limits
from nas.objectives.costs import Costs, built_in_costs
from search_space.choices import RandomChooser
from search_space.lowering import summary
from search_space.space import Space

PREFIX = "max_"


@final
@dataclass(frozen=True, init=False)
class Limits:
    """Largest allowed value of each cost that is limited.

    Attributes:
        by_cost: the limits by the name of their cost.
    """

    by_cost: Mapping[str, float] = field(default_factory=dict)

    def __init__(self, **limits: float | None) -> None:
        """Take limits named `max_<cost>`; None for no limit.

        Raises:
            ValueError: a name of another form, or a limit that is not positive.

        >>> Limits(max_params=100, max_memory_mib=None).by_cost
        {'params': 100}
        """
        check_limits(limits)
        found = {name.removeprefix(PREFIX): _whole(limit) for name, limit in limits.items() if limit is not None}
        object.__setattr__(self, "by_cost", found)

    def checked(self, names: Iterable[str]) -> Limits:
        """Return these limits, all of which are on costs of these names.

        Raises:
            ValueError: a limit on another cost.
        """
        known = [PREFIX + name for name in names]
        for cost in self.by_cost:
            if (given := PREFIX + cost) not in known:
                near = difflib.get_close_matches(given, known, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ValueError(f"limits must be of {', '.join(known)}, got {given!r}{hint}")
        return self

    def joined(self, other: Limits) -> Limits:
        """Return the limits that a network meets if it meets both.

        >>> Limits(max_params=100, max_macs=5).joined(Limits(max_params=80)).by_cost
        {'params': 80, 'macs': 5}
        """
        both = {name: min(limit, other.by_cost.get(name, limit)) for name, limit in self.by_cost.items()}
        return Limits(**{PREFIX + name: limit for name, limit in {**other.by_cost, **both}.items()})

    def exceeded(self, costs: Mapping[str, float]) -> dict[str, float]:
        """Return by how much each limit is exceeded, under its own name; at most 0 where it is met.

        >>> Limits(max_params=100, max_memory_mib=2.0).exceeded({"params": 130, "macs": 10**6, "memory_mib": 1.5})
        {'max_params': 30, 'max_memory_mib': -0.5}
        """
        return {PREFIX + name: costs[name] - limit for name, limit in self.by_cost.items()}

    def meets(self, costs: Mapping[str, float]) -> bool:
        """Return whether costs exceed no limit."""
        return all(costs[name] <= limit for name, limit in self.by_cost.items())


def _whole(limit: float) -> float:
    return int(limit) if float(limit).is_integer() else limit


def check_reachable(space: Space, limits: Limits, costs: Costs | None = None) -> None:
    """Raise if no architecture of the space meets one of the limits.

    Raises:
        ValueError: with what the cheapest architecture costs.
    """
    known = costs or built_in_costs()
    for name, limit in limits.checked(known.names).by_cost.items():
        least, cheapest = _cheapest(space, name, known)
        if least > limit:
            raise ValueError(
                f"limits.{PREFIX}{name} must leave an architecture, the cheapest of {space.name} for {space.input} "
                f"images costs {least:,.6g} {name} ({cheapest}), got {limit:,.6g}"
            )


@dataclass(frozen=True)
class Reach:
    """Share of a space that limits leave.

    Attributes:
        share: share of random architectures that meet every limit, in [0, 1].
        least: the least that an architecture costs, by the costs that are limited.
    """

    share: float
    least: Mapping[str, float]

    def __str__(self) -> str:
        named = ", ".join(f"{cost:,.6g} {name}" for name, cost in self.least.items())
        return f"limits leave {self.share:.1%} of the space; the least that a network costs: {named}"


def reach(space: Space, limits: Limits, costs: Costs | None = None, samples: int = 500) -> Reach | None:
    """Return the share of a space that limits leave, None without limits.

    Args:
        space: the space.
        limits: the limits.
        costs: the costs that the search knows; None for our own.
        samples: random architectures to look at, at least 1.
    """
    if not limits.by_cost:
        return None
    known = costs or built_in_costs()
    chooser = RandomChooser(random.Random(0))
    within = sum(limits.meets(known.of_architecture(space.sample(chooser))) for _ in range(samples))
    return Reach(within / samples, {name: _cheapest(space, name, known)[0] for name in limits.by_cost})


def _cheapest(space: Space, name: str, costs: Costs) -> tuple[float, str]:
    """Return the least that an architecture of the space costs, and its summary."""
    cheapest = space.minimise(lambda architecture: costs.of_architecture(architecture)[name])
    return costs.of_architecture(cheapest)[name], summary(cheapest)
