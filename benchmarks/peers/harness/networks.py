"""Networks of a table, as configurations of a peer and as candidates of a study."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any, final

from nas.objectives.costs.macs import COST as MACS
from nas.objectives.requirements import Requirements
from nas.search.proposer import training_seed
from nas.study.parameters import Draw
from nas.study.trial import Candidate
from search_space.architecture import Architecture
from search_space.choices import FirstChooser, Ordinal, RandomChooser, ReplayChooser
from search_space.space import Space


@final
class Networks:
    """Networks of a space, each examined once."""

    def __init__(self, space: Space, seed: int) -> None:
        """Start with none.

        Args:
            space: the space.
            seed: of the search, which seeds the trainings of its candidates.
        """
        self._space = space
        self._seed = seed
        self._requirements = Requirements()
        self._candidates: dict[Architecture, Candidate] = {}

    def parameters(self) -> list[dict[str, Any]]:
        """Return the choices of the space as the protocol tells them."""
        return [
            {"path": each.path, "options": list(each.choice.options), "ordered": isinstance(each.choice, Ordinal)}
            for each in self._space.parameters
        ]

    def of_config(self, config: Mapping[str, Any]) -> Candidate:
        """Return the network of a configuration; options of choices that are not made are ignored."""
        return self.of(self._space.sample(ReplayChooser(config, FirstChooser())))

    def log_macs(self, configs: Sequence[Mapping[str, Any]]) -> list[float]:
        """Return log10 MACs of configurations."""
        return [log_macs(self.of_config(config)) for config in configs]

    def random(self, generator: random.Random) -> Candidate:
        """Return a random network."""
        return self.of(self._space.sample(RandomChooser(generator)))

    def config(self, candidate: Candidate) -> dict[str, Any]:
        """Return a configuration of a network, in which choices that are not made have their first option."""
        made = self._space.assignments(Architecture.from_json(candidate.architecture))
        return {each.path: made.get(each.path, each.choice.options[0]) for each in self._space.parameters}

    def of(self, architecture: Architecture) -> Candidate:
        """Return the candidate of an architecture."""
        if architecture not in self._candidates:
            self._candidates[architecture] = self._examined(architecture)
        return self._candidates[architecture]

    def _examined(self, architecture: Architecture) -> Candidate:
        draw = Draw.of(self._space, architecture)
        known = self._requirements.examine(architecture)
        return Candidate(
            ask=len(self._candidates),
            params=draw.params,
            distributions=draw.distributions,
            architecture=architecture.to_json(),
            id=architecture.id,
            network_id=known.network_id,
            summary=known.summary,
            costs=known.costs,
            seed=training_seed(self._seed, known.network_id),
        )


def log_macs(candidate: Candidate) -> float:
    """Return log10 MACs of a network."""
    return math.log10(candidate.costs[MACS.name])
