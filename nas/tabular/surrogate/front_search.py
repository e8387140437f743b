"""True front of a surrogate: found once by a search that knows the truth, and kept in the user's cache folder.

The search predicts the sample's own networks, random ones and walks from the cheapest network. Then it breeds: in each
bin of the logarithm of the MACs the networks with the least true error are mutated, and so are those of the front. At
last it predicts every network that differs from one of the front in one choice, until none improves the front.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from nas.jobs.cache_folder import cache_folder
from nas.jobs.files import read_json, write_json
from nas.jobs.hashes import content_hash
from nas.objectives.costs.macs import COST as MACS
from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis, front, losses
from nas.tabular.surrogate.model import Predicted, Surrogate
from search_space.architecture import Architecture

BATCH = 1000


@dataclass(frozen=True)
class Effort:
    """Effort of the search.

    Attributes:
        drawn: number of random networks, at least 2.
        walks: number of walks from the cheapest network, of 1 to `steps` mutations.
        steps: longest walk.
        generations: number of times that parents are mutated.
        bins: bins of the logarithm of the MACs.
        parents: networks of each bin that are mutated.
        neighbours: largest number of predictions of networks one choice away from the front.
    """

    drawn: int = 4000
    walks: int = 500
    steps: int = 14
    generations: int = 10
    bins: int = 40
    parents: int = 12
    neighbours: int = 120_000


@dataclass(frozen=True)
class FoundFront:
    """Outcome of the search.

    Attributes:
        members: architectures of the front, cheapest first.
        predictions: number of different networks that were predicted.
        complete: True if no network one choice away from the front improves it.
    """

    members: tuple[Architecture, ...]
    predictions: int
    complete: bool

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as a JSON object."""
        members = [member.to_json() for member in self.members]
        return {"members": members, "predictions": self.predictions, "complete": self.complete}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> FoundFront:
        """Return the outcome that `to_json` wrote."""
        members = tuple(Architecture.from_json(member) for member in document["members"])
        return cls(members, int(document["predictions"]), bool(document["complete"]))


@final
class FrontSearch:
    """Search for the true front of a surrogate within limits."""

    def __init__(self, surrogate: Surrogate, limits: Limits, effort: Effort, seed: int = 0) -> None:
        """Predict nothing yet.

        Args:
            surrogate: the surrogate.
            limits: limits on the costs.
            effort: of the search.
            seed: of its randomness.
        """
        self._surrogate, self._limits, self._effort = surrogate, limits, effort
        self._space = surrogate.table.space
        self._generator = random.Random(f"front:{seed}")
        self._met: set[Architecture] = set()
        self._found: list[Predicted] = []
        self._points: list[tuple[float, float]] = []

    def run(self) -> FoundFront:
        """Search with the whole effort; the front is empty if no network meets the limits."""
        self._predict(entry.architecture for entry in self._surrogate.table.entries.values())
        self._predict(self._space.draw(self._generator) for _ in range(self._effort.drawn))
        self._predict(self._walks())
        for _ in range(self._effort.generations):
            self._predict(self._mutants())
        complete = self._expand()
        members = [self._found[index].described.architecture for index in self._front()]
        return FoundFront(tuple(members), len(self._met), complete)

    def _predict(self, architectures: Iterable[Architecture]) -> None:
        """Predict the networks among these that are new and within the limits."""
        batch: list[Architecture] = []
        for architecture in architectures:
            if architecture in self._met:
                continue
            self._met.add(architecture)
            batch.append(architecture)
            if len(batch) == BATCH:
                self._add(batch)
                batch = []
        self._add(batch)

    def _add(self, batch: Sequence[Architecture]) -> None:
        described = [self._surrogate.features.describe(architecture) for architecture in batch]
        allowed = [each for each in described if self._limits.meets(each.costs)]
        for predicted in self._surrogate.predict_described(allowed):
            self._found.append(predicted)
            self._points.append((float(predicted.described.costs[MACS.name]), 1.0 - predicted.test_accuracy))

    def _walks(self) -> Iterator[Architecture]:
        measure = self._surrogate.features.describe
        cheapest = self._space.minimise(lambda architecture: measure(architecture).costs[MACS.name])
        yield cheapest
        for _ in range(self._effort.walks):
            architecture = cheapest
            for _ in range(self._generator.randint(1, self._effort.steps)):
                architecture = self._space.mutate(architecture, self._generator)
                yield architecture

    def _mutants(self) -> Iterator[Architecture]:
        """Yield one mutant of each parent, one to three mutations away."""
        for index in self._parents():
            mutant = self._found[index].described.architecture
            for _ in range(self._generator.choice((1, 1, 2, 3))):
                mutant = self._space.mutate(mutant, self._generator)
            yield mutant

    def _parents(self) -> list[int]:
        """Return the networks with the least error of each bin of cost, and those of the front."""
        if not self._points:
            return []
        macs, error = np.array(self._points).T
        edges = np.linspace(np.log10(macs.min()), np.log10(macs.max()), self._effort.bins + 1)[1:-1]
        place = np.digitize(np.log10(macs), edges)
        chosen = dict.fromkeys(self._front())
        for cell in range(self._effort.bins):
            inside = np.flatnonzero(place == cell)
            chosen |= dict.fromkeys(inside[np.argsort(error[inside], kind="stable")[: self._effort.parents]].tolist())
        return list(chosen)

    def _expand(self) -> bool:
        """Predict the neighbours of the front until none improves it; return whether that was reached."""
        expanded: set[Architecture] = set()
        until = len(self._met) + self._effort.neighbours
        while len(self._met) < until:
            members = [self._found[index].described.architecture for index in self._front()]
            left = [member for member in members if member not in expanded]
            if not left:
                return True
            for member in left:
                expanded.add(member)
                self._predict(self._space.neighbours(member))
        return False

    def _front(self) -> list[int]:
        """Return the indices of the networks on the front, cheapest first."""
        if not self._points:
            return []
        points = [{MACS.name: macs, "error": error} for macs, error in self._points]
        axes = (
            Axis(MACS.name, "minimize", True, min(self._points)[0], 2 * max(self._points)[0]),
            Axis("error", "minimize", False, -1.0, 2.0),
        )
        return list(front(losses(axes, points)))


def true_front(surrogate: Surrogate, limits: Limits, effort: Effort | None = None) -> FoundFront:
    """Return the true front, from the user's cache folder if it was found before for models that predict the same."""
    effort = effort or Effort()
    known = surrogate.predict(surrogate.table.architectures)
    settings = {
        "table": surrogate.table.hash,
        "limits": dict(limits.by_cost),
        "effort": vars(effort),
        "search": Path(__file__).read_text(encoding="utf-8"),
        "predictions": [[each.described.costs[MACS.name], each.test_accuracy] for each in known],
    }
    path = _cache_folder() / f"{content_hash([json.dumps(settings, sort_keys=True)])[:32]}.json"
    document = read_json(path)
    if document is not None:
        return FoundFront.from_json(document)
    found = FrontSearch(surrogate, limits, effort).run()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, found.to_json())
    return found


def _cache_folder() -> Path:
    return cache_folder() / "true_fronts"
