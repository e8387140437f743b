"""The networks of a space as rows of numbers, each lowered and measured once, and whence new ones come."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, final

import numpy as np

from nas.samplers.known_cost.gp import Floats, Layout, grouped
from nas.samplers.parameters import ParameterChooser
from search_space.architecture import Architecture
from search_space.choices import FirstChooser, RandomChooser, ReplayChooser, Value
from search_space.encoding import columns, encode
from search_space.memo import Memo
from search_space.space import POSITION, Space

Measure = Callable[[Architecture], tuple[str, Mapping[str, float]]]
"""The identity of an architecture's network, and its costs by name, all positive."""

Within = Callable[[Mapping[str, float]], bool]
"""Whether costs are within the limits."""

CAPACITY = 2048  # networks remembered; a driver's memory must not grow with its asks
MOTHERS = 64  # whose changes are remembered, those of the front among them
WALK = 20
FEW = 100


@final
@dataclass(frozen=True, eq=False)
class Network:
    """An architecture with what is known of it before training.

    Attributes:
        architecture: the architecture, normalised.
        network_id: identity of its network.
        costs: exact costs by name.
        row: what a surrogate sees of it, but for the costs' scale: encoding, then encodings alike in every block,
            then logarithms of costs to base 10.
    """

    architecture: Architecture
    network_id: str
    costs: Mapping[str, float]
    row: Floats


def exact_measure() -> Measure:
    """Network id and `params`, `macs` and `memory_mib`, each block measured once."""
    memo = Memo()

    def measure(architecture: Architecture) -> tuple[str, Mapping[str, float]]:
        name, cost = memo.examine(architecture)
        return name, {"params": cost.params, "macs": cost.macs, "memory_mib": cost.memory_mib}

    return measure


@final
class Networks:
    """Networks of one space by architecture, and by the parameters of an Optuna trial that chose them."""

    def __init__(self, space: Space, measure: Measure) -> None:
        """Know nothing yet.

        Args:
            space: whose architectures they are.
            measure: tells identity and costs; the same costs for each.
        """
        self.space = space
        self._measure = measure
        self._remembered = lru_cache(CAPACITY)(self._known)
        self._by_params: dict[frozenset[tuple[str, Any]], Network | None] = {}
        names = columns(space)
        alike = [POSITION.sub("", name) for name in names]
        self._alike = grouped(alike)
        self._names = [_kind(name) for name in names] + [f"alike {_kind(alike[group[0]])}" for group in self._alike]

    def of(self, architecture: Architecture) -> Network:
        """The network of a normalised architecture of the space."""
        return self._remembered(architecture)

    def _known(self, architecture: Architecture) -> Network:
        name, costs = self._measure(architecture)
        code = np.array(encode(self.space, architecture))
        alike = [code[list(group)].mean() for group in self._alike]
        logs = np.log10(np.maximum(list(costs.values()), 1e-9))
        return Network(architecture, name, costs, np.concatenate([code, alike, logs]))

    def of_params(self, params: Mapping[str, Any]) -> Network | None:
        """The network that a trial with these parameters is of; None for one of another space."""
        key = frozenset(params.items())
        if key not in self._by_params:
            try:
                found: Network | None = self.of(self.space.sample(ParameterChooser(params)))
            except (KeyError, IndexError, ValueError):  # no such choice, or one that the space has no option for
                found = None
            self._by_params[key] = found
        return self._by_params[key]

    def layout(self, costs: int) -> Layout:
        """What the columns of a matrix of rows are, for this number of costs."""
        trend = range(len(self._names), len(self._names) + costs)
        return Layout(grouped([*self._names, *["costs"] * costs]), tuple(trend))


def _kind(name: str) -> str:
    """What a column of an encoding is about: the last word of its path.

    >>> _kind("stage0.block1.k5.factorization=stacked")
    'factorization'
    """
    return re.split(r"[?=]", name)[0].rpartition(".")[2]


@final
@dataclass(frozen=True, eq=False)
class _Ways:
    """How an architecture came about, and what else there is.

    Attributes:
        chosen: what makes it.
        others: the other options at every path on the way.
        children: networks that one other option makes of it, where no further choice hangs on that option.
    """

    chosen: Mapping[str, Value]
    others: Mapping[str, tuple[Value, ...]]
    children: dict[tuple[str, Value], Network] = field(default_factory=dict)


@final
class Source:
    """Where candidates come from: a stream of random networks within the limits, and changes of given networks."""

    def __init__(self, networks: Networks, within: Within) -> None:
        """Nothing is drawn yet.

        Args:
            networks: of the space to draw from.
            within: whether costs are within the limits.
        """
        self._networks = networks
        self._within = within
        self._generator = random.Random(0)
        self._drawn: dict[str, tuple[int, Network]] = {}
        self._first: list[Network] = []
        self._ways = lru_cache(MOTHERS)(self._found_ways)

    def stream(self, draws: int) -> Sequence[Network]:
        """Different networks within the limits among the first `draws` random ones of the space; always the same.

        Where limits leave few, networks that walks from the cheapest ones come by are added.
        """
        space = self._networks.space
        while len(self._first) < draws:
            even = len(self._first) % 2 == 0
            architecture = space.draw(self._generator) if even else space.uniform(self._generator)
            self._first.append(self._networks.of(architecture))
            self._keep(self._first[-1])
            if len(self._first) == FEW and len(self._drawn) < FEW // 10:
                for found in self._walks():
                    self._keep(found)
        return [network for draw, network in self._drawn.values() if draw <= draws]

    def first(self, draws: int) -> Sequence[Network]:
        """The first random networks of the space themselves, within the limits or not."""
        self.stream(draws)
        return self._first[:draws]

    def _keep(self, network: Network) -> None:
        if self._within(network.costs):
            self._drawn.setdefault(network.network_id, (len(self._first), network))

    def _walks(self) -> Iterator[Network]:
        """Networks on random walks within the limits that begin at those that cost least."""
        space, of = self._networks.space, self._networks.of
        names = list(of(space.sample(FirstChooser())).costs)
        for name in names:
            cheapest = of(space.minimise(lambda a, name=name: of(a).costs[name]))  # type: ignore[misc]
            if self._within(cheapest.costs):
                yield from (self._walk(cheapest) for _ in range(FEW // len(names)))

    def _walk(self, here: Network) -> Network:
        for _ in range(WALK):
            here = self.changed(here, self._generator) or here
        return here

    def changed(self, network: Network, generator: random.Random) -> Network | None:
        """A network that differs in one choice and in what hangs on it; None where it is beyond the limits."""
        ways = self._ways(network.architecture)
        if not ways.others:
            return None
        path = generator.choice(list(ways.others))
        found = self._child(ways, path, generator.choice(ways.others[path]), generator)
        return found if found.network_id != network.network_id and self._within(found.costs) else None

    def _child(self, ways: _Ways, path: str, option: Value, generator: random.Random) -> Network:
        if (path, option) in ways.children:
            return ways.children[path, option]
        replay = ReplayChooser({**ways.chosen, path: option}, RandomChooser(generator))
        found = self._networks.of(self._networks.space.sample(replay))
        if replay.met.keys() <= ways.chosen.keys():
            ways.children[path, option] = found
        return found

    def crossed(self, mother: Network, father: Network, generator: random.Random) -> Network | None:
        """A network that has each stage's choices from one of two; None where it is beyond the limits."""
        ours, theirs = self._ways(mother.architecture).chosen, self._ways(father.architecture).chosen
        heads = sorted({path.partition(".")[0] for path in (*ours, *theirs)})
        taken = {head for head in heads if generator.random() < 0.5}
        mixed = {path: value for path, value in theirs.items() if path.partition(".")[0] in taken}
        mixed |= {path: value for path, value in ours.items() if path.partition(".")[0] not in taken}
        found = self._networks.of(self._networks.space.sample(ReplayChooser(mixed, RandomChooser(generator))))
        return found if self._within(found.costs) else None

    def _found_ways(self, architecture: Architecture) -> _Ways:
        space = self._networks.space
        chosen = space.assignments(architecture)
        replay = ReplayChooser(chosen, FirstChooser())
        space.sample(replay)
        others = {
            path: tuple(option for option in options if option != chosen[path]) for path, options in replay.met.items()
        }
        return _Ways(chosen, others)
