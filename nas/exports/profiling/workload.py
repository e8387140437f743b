"""Workload of a fit: random networks of a space, and the operators that they are made of."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from nas.config.ranges import Count, Range, Seed, check_fields
from nas.objectives.latency.operators import Operator, graph_of, key_of, operators_of
from search_space.architecture import Architecture
from search_space.cost import cost
from search_space.graph import Graph
from search_space.identity import network_id
from search_space.lowering import lower
from search_space.space import Space

CHUNK = 24
"""Items that are prepared at once, and take turns."""

SMALLER = 3
"""One network in so many is a few changes away from the cheapest of the space, where searches look too."""

CHANGES = (0, 1, 2, 3, 5, 8, 13)
"""Numbers of changes, in turn: at the cheap end of `quick`, a model without such networks was wrong by a half."""


@dataclass(frozen=True)
class FitPlan:
    """Extent of a fit.

    Attributes:
        networks: whole networks that are measured, at least 16.
        operators: most operators that are measured alone.
        passes: times that each item is measured, each in another company.
        rounds: turns of an item in a pass.
        turn_ms: milliseconds of repeats in a turn.
        seconds: measuring time after which no further pass begins.
        seed: seed of the draws and of the order.

    Raises:
        ValueError: a value out of range.
    """

    networks: Annotated[int, Range(16, 100_000)] = 240
    operators: Annotated[int, Range(0, 100_000)] = 400
    passes: Count = 4
    rounds: Count = 3
    turn_ms: Annotated[float, Range(0, 1000, above=True)] = 4.0
    seconds: Annotated[float, Range(0, 86400, above=True)] = 480.0
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self, "fit")

    @property
    def identity(self) -> str:
        """Hash of the plan but for its seconds: measurements of one plan continue one another."""
        text = json.dumps({key: value for key, value in asdict(self).items() if key != "seconds"}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Workload:
    """Items that are measured.

    Attributes:
        networks: whole networks.
        operators: distinct operators of them that are measured alone.
    """

    networks: tuple[Graph, ...]
    operators: tuple[Operator, ...]

    @property
    def graphs(self) -> dict[str, Graph]:
        """Every item as a network, by its name."""
        found = {f"n{index}": graph for index, graph in enumerate(self.networks)}
        for index, operator in enumerate(self.operators):
            graph = graph_of(operator)
            assert graph is not None
            found[f"o{index}"] = graph
        return found

    @property
    def identity(self) -> str:
        """Short hash of the items in their order: measurements are of these alone."""
        text = json.dumps([network_id(graph) for graph in self.graphs.values()])
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def chunks(self, seed: int, number: int) -> list[list[str]]:
        """Return the items of a pass in random groups, whose members are measured together."""
        names = list(self.graphs)
        random.Random(f"{seed}/{number}").shuffle(names)
        return [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]


def workload_of(space: Space, plan: FitPlan) -> Workload:
    """Return the workload of a space: the networks of `drawn` and their operators."""
    return workload_of_networks(drawn(space, plan), plan.operators)


def drawn(space: Space, plan: FitPlan) -> list[Architecture]:
    """Return random architectures of a space, some of them near the cheapest."""
    generator = random.Random(plan.seed)
    cheapest = space.minimise(lambda architecture: cost(lower(architecture)).macs, combined=False)
    found = []
    for index in range(plan.networks):
        architecture = cheapest if index % SMALLER == 0 else space.draw(generator)
        for _ in range(CHANGES[index // SMALLER % len(CHANGES)] if index % SMALLER == 0 else 0):
            architecture = space.mutate(architecture, generator)
        found.append(architecture)
    return found


def workload_of_networks(architectures: Sequence[Architecture], operators: int) -> Workload:
    """Return the workload of networks and their operators: those that most have, and of the rest a share of each kind.

    Args:
        architectures: the networks.
        operators: most operators that are measured alone.
    """
    networks = [lower(architecture) for architecture in architectures]
    return Workload(tuple(networks), tuple(_operators(networks, operators)))


def _operators(networks: list[Graph], most: int) -> list[Operator]:
    counts: dict[str, tuple[int, Operator]] = {}
    for graph in networks:
        for operator in dict.fromkeys(operators_of(graph)):
            if graph_of(operator) is not None:
                key = key_of(operator)
                counts[key] = (counts.get(key, (0, operator))[0] + 1, operator)
    by_kind: dict[str, list[Operator]] = {}
    for _, operator in sorted(counts.values(), key=lambda found: -found[0]):
        by_kind.setdefault(operator.kind, []).append(operator)
    found: list[Operator] = []
    for place in range(max(map(len, by_kind.values()), default=0)):
        found += [operators[place] for operators in by_kind.values() if place < len(operators)]
    return found[:most]
