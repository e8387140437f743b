"""Candidates: the registry of measured networks of a space, and the source of new ones.

A network is lowered, measured and encoded once. Candidates are random networks of the space within the limits, and
mutations and crossings of given networks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, final

from nas.objectives.requirements import Measure
from nas.study.belief.features import FeatureMap
from nas.study.belief.gp import Floats
from nas.study.parameters import ParameterChooser
from search_space.architecture import Architecture
from search_space.choices import FirstChooser, RandomChooser, ReplayChooser, Value
from search_space.space import Space

Feasible = Callable[[Mapping[str, float]], bool]
"""Function from costs to whether they are within the limits."""

CACHED_NETWORKS = 2048  # bounded, since the driver's memory must not grow with its asks
CACHED_NEIGHBOURHOODS = 64  # enough for the members of the front
WALK_STEPS = 20
FIRST_DRAWS = 100
"""Random networks after which walks are added if fewer than a tenth of them are within the limits."""


@final
@dataclass(frozen=True, eq=False)
class Network:
    """Architecture with its identity, its costs and its features.

    Attributes:
        architecture: normalised architecture.
        network_id: identity of its network.
        costs: exact costs by name.
        row: (f,) features (`nas/study/belief/features.py`).
    """

    architecture: Architecture
    network_id: str
    costs: Mapping[str, float]
    row: Floats


@final
class NetworkRegistry:
    """Measured networks of one space, by architecture and by the parameters of an Optuna trial."""

    def __init__(self, space: Space, measure: Measure) -> None:
        """Make an empty registry.

        Args:
            space: space of the architectures.
            measure: returns the identity and the costs of an architecture; the same names of costs for each.
        """
        self.space = space
        self._measure = measure
        self._measured = lru_cache(CACHED_NETWORKS)(self._measured_network)
        self._by_params: dict[frozenset[tuple[str, Any]], Network | None] = {}
        self.features = FeatureMap(space, lambda architecture: measure(architecture)[1])

    def network(self, architecture: Architecture) -> Network:
        """Return the network of a normalised architecture of the space."""
        return self._measured(architecture)

    def _measured_network(self, architecture: Architecture) -> Network:
        name, costs = self._measure(architecture)
        return Network(architecture, name, costs, self.features.rows([architecture], [costs])[0])

    def remember(self, params: Mapping[str, Any], network: Network) -> None:
        """Keep the network of a trial with these parameters, so that it need not be sampled from them."""
        self._by_params[frozenset(params.items())] = network

    def from_params(self, params: Mapping[str, Any]) -> Network | None:
        """Return the network of a trial with these parameters, None for a trial of another space."""
        key = frozenset(params.items())
        if key not in self._by_params:
            try:
                found: Network | None = self.network(self.space.sample(ParameterChooser(params)))
            except (KeyError, IndexError, ValueError):  # no such choice, or one that the space has no option for
                found = None
            self._by_params[key] = found
        return self._by_params[key]


@final
@dataclass(frozen=True, eq=False)
class _Neighbourhood:
    """Choices of an architecture and their alternatives.

    Attributes:
        assignments: option chosen at every path.
        alternatives: other options at every path.
        children: networks with one alternative option, by path and option; only those in which it opens no further
            choice, since they are the same at every draw.
    """

    assignments: Mapping[str, Value]
    alternatives: Mapping[str, tuple[Value, ...]]
    children: dict[tuple[str, Value], Network] = field(default_factory=dict)


@final
class CandidateSource:
    """Source of candidates: random networks within the limits, and mutations and crossings of given networks."""

    def __init__(self, networks: NetworkRegistry, feasible: Feasible) -> None:
        """Make a source that has drawn nothing yet.

        Args:
            networks: registry of the space to draw from.
            feasible: returns whether costs are within the limits.
        """
        self._networks = networks
        self._feasible = feasible
        self._generator = random.Random(0)
        self._kept: dict[str, tuple[int, Network]] = {}
        self._draws = 0
        self._neighbourhood = lru_cache(CACHED_NEIGHBOURHOODS)(self._neighbourhood_of)

    def random_candidates(self, draws: int) -> Sequence[Network]:
        """Return the different networks within the limits among the first `draws` random ones of the space.

        The sequence of random networks is fixed: it depends on the space and the limits alone. Of every four, one has
        every choice uniform among its options, one is uniform over the space, and two have a random share of their
        choices at the first or the last option, which reaches the cheap and the expensive ends of the space. If limits
        leave few of them, networks from random walks are added that start at the cheapest networks.
        """
        while self._draws < draws:
            self._keep(self._networks.network(self._drawn(self._draws)))
            self._draws += 1
            if self._draws == FIRST_DRAWS and len(self._kept) < FIRST_DRAWS // 10:
                for found in self._walks():
                    self._keep(found)
        return [network for draw, network in self._kept.values() if draw < draws]

    def _drawn(self, number: int) -> Architecture:
        """Return a random architecture of the sequence."""
        space, generator = self._networks.space, self._generator
        if number % 4 < 2:
            return space.draw(generator) if number % 4 == 0 else space.uniform(generator)
        share, place = generator.random(), 0 if number % 4 == 2 else -1
        ends = {p.path: p.choice.options[place] for p in space.parameters if generator.random() < share}
        return space.sample(ReplayChooser(ends, RandomChooser(generator)))

    def _keep(self, network: Network) -> None:
        if self._feasible(network.costs):
            self._kept.setdefault(network.network_id, (self._draws, network))

    def _walks(self) -> Iterator[Network]:
        """Yield the ends of random walks within the limits from the network that is cheapest in each cost."""
        space, network = self._networks.space, self._networks.network
        names = list(network(space.sample(FirstChooser())).costs)
        for name in names:
            cheapest = network(space.minimise(lambda a, name=name: network(a).costs[name]))  # type: ignore[misc]
            if self._feasible(cheapest.costs):
                yield from (self._walk(cheapest) for _ in range(FIRST_DRAWS // len(names)))

    def _walk(self, here: Network) -> Network:
        for _ in range(WALK_STEPS):
            here = self.mutate(here, self._generator) or here
        return here

    def mutate(self, network: Network, generator: random.Random) -> Network | None:
        """Return a network that differs in one choice and those that depend on it, None if it exceeds a limit."""
        neighbourhood = self._neighbourhood(network.architecture)
        if not neighbourhood.alternatives:
            return None
        path = generator.choice(list(neighbourhood.alternatives))
        found = self._child(neighbourhood, path, generator.choice(neighbourhood.alternatives[path]), generator)
        return found if found.network_id != network.network_id and self._feasible(found.costs) else None

    def _child(self, parent: _Neighbourhood, path: str, option: Value, generator: random.Random) -> Network:
        if (path, option) in parent.children:
            return parent.children[path, option]
        replay = ReplayChooser({**parent.assignments, path: option}, RandomChooser(generator))
        found = self._networks.network(self._networks.space.sample(replay))
        if replay.met.keys() <= parent.assignments.keys():
            parent.children[path, option] = found
        return found

    def cross(self, one: Network, other: Network, generator: random.Random) -> Network | None:
        """Return a network that has the choices of each stage from one of two parents, None if it exceeds a limit."""
        ours = self._neighbourhood(one.architecture).assignments
        theirs = self._neighbourhood(other.architecture).assignments
        heads = sorted({path.partition(".")[0] for path in (*ours, *theirs)})
        taken = {head for head in heads if generator.random() < 0.5}
        mixed = {path: value for path, value in theirs.items() if path.partition(".")[0] in taken}
        mixed |= {path: value for path, value in ours.items() if path.partition(".")[0] not in taken}
        found = self._networks.network(self._networks.space.sample(ReplayChooser(mixed, RandomChooser(generator))))
        return found if self._feasible(found.costs) else None

    def _neighbourhood_of(self, architecture: Architecture) -> _Neighbourhood:
        space = self._networks.space
        assignments = space.choices(architecture)
        replay = ReplayChooser(assignments, FirstChooser())
        space.sample(replay)
        alternatives = {
            path: tuple(option for option in options if option != assignments[path])
            for path, options in replay.met.items()
        }
        return _Neighbourhood(assignments, alternatives)
