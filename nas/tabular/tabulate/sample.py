"""Sample of a large space: portions of its networks, and those of them that are trained with one more seed."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.objectives.costs.macs import COST as MACS
from nas.objectives.requirements import Examined, Requirements
from search_space.architecture import Architecture
from search_space.space import Space

RANDOM, SPREAD = "random", "spread"
"""Origins of the networks that no strategy draws; the others are named after their strategy."""

POOL, WALKS, LONGEST_WALK = 6000, 600, 14
"""Sources of the spread portion: random networks, and walks of mutations from the cheapest network of the space."""

GOLDEN = 0.6180339887498949
"""Step of the targets along the logarithm of the MACs: their first n cover it evenly for every n."""


@dataclass(frozen=True)
class Member:
    """Network of a table.

    Attributes:
        examined: its architecture, identities and costs.
        origin: portion of the sample that drew it first; empty in a table of a whole space.
    """

    examined: Examined
    origin: str = ""

    @property
    def network_id(self) -> str:
        """Identity of the network."""
        return self.examined.network_id


def drawn_members(space: Space, portions: Mapping[str, int]) -> list[Member]:
    """Return the random portion and the one spread over the logarithm of the MACs, in a mixed order.

    A network is in one portion alone. A space without enough networks gives fewer.

    Args:
        space: the space.
        portions: number of networks by origin; those of strategies are ignored.
    """
    requirements = Requirements()
    found = [Member(each, RANDOM) for each in random_networks(space, requirements, portions.get(RANDOM, 0))]
    known = {member.network_id for member in found}
    spread = spread_networks(space, requirements, known, portions.get(SPREAD, 0))
    found += [Member(each, SPREAD) for each in spread]
    random.Random(0).shuffle(found)
    return found


def random_networks(space: Space, requirements: Requirements, count: int) -> list[Examined]:
    """Return different networks drawn at random; fewer if so many draws in a row as a pool has bring nothing new."""
    generator, found, idle = random.Random(RANDOM), dict[str, Examined](), 0
    while len(found) < count and idle < POOL:
        examined = requirements.examine(space.draw(generator))
        idle = idle + 1 if examined.network_id in found else 0
        found.setdefault(examined.network_id, examined)
    return list(found.values())


def spread_networks(space: Space, requirements: Requirements, known: set[str], count: int) -> list[Examined]:
    """Return networks from the cheapest of the space to the dearest of a pool, evenly over the logarithm of the MACs.

    Args:
        space: the space.
        requirements: measures the networks.
        known: identities of networks that are not wanted.
        count: number of networks; fewer are returned if the pool has no more.
    """
    if not count:
        return []
    cheapest = space.minimise(lambda architecture: requirements.measure(architecture)[1][MACS.name])
    generator = random.Random(SPREAD)
    drawn = [requirements.examine(space.draw(generator)) for _ in range(POOL)]
    low, high = math.log10(requirements.measure(cheapest)[1][MACS.name]), max(map(_log_macs, drawn))
    pool = [*drawn, *map(requirements.examine, _walks(space, cheapest, generator))]
    return nearest_to_targets([each for each in pool if each.network_id not in known], low, high, count)


def nearest_to_targets(pool: Sequence[Examined], low: float, high: float, count: int) -> list[Examined]:
    """Return different networks, each the nearest to its target on the logarithm of the MACs.

    Args:
        pool: candidates, in which a network may stand several times.
        low: lower end of the targets.
        high: upper end of the targets.
        count: number of networks, if the pool has as many.
    """
    logs = np.array([_log_macs(each) for each in pool])
    found: dict[str, Examined] = {}
    for step in range(1, len(pool) + 1):
        if len(found) >= count:
            break
        target = low + (high - low) * ((step * GOLDEN) % 1.0)
        place = int(np.argmin(np.abs(logs - target)))
        logs[place] = np.inf
        found.setdefault(pool[place].network_id, pool[place])
    return list(found.values())


def _walks(space: Space, start: Architecture, generator: random.Random) -> Iterator[Architecture]:
    """Yield the architectures on walks of mutations."""
    for _ in range(WALKS):
        architecture = start
        for _ in range(generator.randint(1, LONGEST_WALK)):
            architecture = space.mutate(architecture, generator)
            yield architecture


def _log_macs(examined: Examined) -> float:
    return math.log10(examined.costs[MACS.name])


def trained_again(members: Sequence[Member], share: float) -> set[str]:
    """Return the networks that are trained with one more seed: of each portion, evenly over the order of the MACs.

    Args:
        members: the networks.
        share: of each portion, from 0 to 1.
    """
    portions: dict[str, list[Member]] = {}
    for member in members:
        portions.setdefault(member.origin, []).append(member)
    chosen = set()
    for portion in portions.values():
        portion.sort(key=lambda member: (member.examined.costs[MACS.name], member.network_id))
        wanted = round(share * len(portion))
        chosen |= {portion[(2 * place + 1) * len(portion) // (2 * wanted)].network_id for place in range(wanted)}
    return chosen
