"""Registry of costs: ours, and those that a person's objectives name by a dotted path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import final

from nas.objectives.costs.cost import Cost, Measurable
from search_space.architecture import Architecture
from search_space.graph import Graph
from search_space.plugins import PluginError, PluginKind

KIND = PluginKind("objective.key", "nas.objectives.costs", "COST")


@final
@dataclass(frozen=True)
class Costs:
    """Costs that a search knows, in the order of their places.

    Attributes:
        members: the costs, their names different.

    Raises:
        ValueError: two costs of one name.
    """

    members: tuple[Cost, ...]

    def __post_init__(self) -> None:
        for name in self.names:
            if self.names.count(name) > 1:
                raise ValueError(f"two costs may not have one name, got {name!r} twice")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the costs."""
        return tuple(cost.name for cost in self.members)

    @property
    def origins(self) -> dict[str, str]:
        """Hashes of what costs depend on besides the network, by the cost's name, for those that do."""
        return {cost.name: cost.origin for cost in self.members if cost.origin}

    def of(self, network: Measurable) -> dict[str, float]:
        """Return the exact costs of a network by name."""
        return {cost.name: cost.measure(network) for cost in self.members}

    def extrapolated(self, network: Measurable) -> tuple[str, ...]:
        """Return the names of the costs whose values for a network are outside the range that they were fitted on."""
        return tuple(cost.name for cost in self.members if cost.extrapolated is not None and cost.extrapolated(network))

    def of_architecture(self, architecture: Architecture) -> dict[str, float]:
        """Return the exact costs of an architecture's network by name."""
        return self.of(Measurable(architecture))

    def of_graph(self, graph: Graph) -> dict[str, float]:
        """Return the exact costs of a graph by name."""
        return self.of(Measurable(graph=graph))

    def joined(self, others: Iterable[Cost]) -> Costs:
        """Return these costs and others that are not among them."""
        found = dict.fromkeys([*self.members, *others])
        return Costs(tuple(sorted(found, key=lambda cost: cost.place)))


@cache
def all_costs() -> Costs:
    """Return our own costs, also those that are computed only where they are asked for."""
    found: list[Cost] = [KIND.load(name) for name in KIND.names()]
    return Costs(tuple(sorted(found, key=lambda cost: cost.place)))


@cache
def built_in_costs() -> Costs:
    """Return our own costs that every network has, since they depend on it alone."""
    return Costs(tuple(cost for cost in all_costs().members if cost.prepare is None))


def load_cost(key: str) -> Cost:
    """Return the cost that an objective's key names.

    Args:
        key: the name of one of ours, or a dotted path.

    Raises:
        PluginError: there is no such cost.
    """
    found = KIND.load(key)
    if not isinstance(found, Cost):
        raise PluginError(f"{KIND.key} must name a nas.objectives.costs.Cost, {key!r} is a {type(found).__name__}")
    return found


def title_of(name: str) -> str:
    """Return the label of a cost by its name; for one that is not ours its name in words.

    >>> title_of("memory_mib"), title_of("energy_mj")
    ('activation memory (MiB)', 'energy mj')
    """
    labels: Mapping[str, str] = {cost.name: cost.label for cost in all_costs().members}
    return labels.get(name, name.replace("_", " "))
