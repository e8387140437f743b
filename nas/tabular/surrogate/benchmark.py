"""Benchmark of a surrogate: any architecture of the space has a learning curve, another one in each world."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from random import Random
from typing import Any, final

from nas.jobs import Curve
from nas.objectives.costs.macs import COST as MACS
from nas.objectives.limits import Limits
from nas.tabular.simulation.benchmark import TrueNetwork
from nas.tabular.simulation.executor import CurveLookup
from nas.tabular.simulation.simulated_table import CHARGES
from nas.tabular.surrogate.front_search import FoundFront, true_front
from nas.tabular.surrogate.model import Predicted, Surrogate, mean_seconds
from nas.tabular.table import read_table
from search_space.architecture import Architecture
from search_space.space import Space

USUAL = 2000
"""Random networks that the truth knows beside its front: they say what is usual in the space."""

WORLDS = (0, 1, 2)
"""Worlds over which a bound of the scores is averaged."""


@final
@dataclass(frozen=True, eq=False)
class SurrogateBenchmark:
    """Surrogate in which searches are simulated. The world of a search is its seed.

    Attributes:
        surrogate: the models.
        slots: number of simulated slots, at least 1.
        charge: column that an epoch costs on the simulated clock, `seconds` or `cpu_seconds`.
    """

    surrogate: Surrogate
    slots: int = 1
    _known: dict[str, Predicted] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError(f"slots must be at least 1, got {self.slots}")

    @property
    def charge(self) -> str:
        """Column that an epoch costs on the simulated clock."""
        return self.surrogate.charge

    @property
    def path(self) -> Path:
        """File of the table that the surrogate is fitted to."""
        return self.surrogate.table.path

    @property
    def hash(self) -> str:
        """SHA-256 of the file."""
        return self.surrogate.table.hash

    @property
    def space(self) -> Space:
        """Space of the table."""
        return self.surrogate.table.space

    @property
    def epochs(self) -> int:
        """Number of epochs of a full training."""
        return self.surrogate.table.epochs

    @property
    def validation_images(self) -> int:
        """Number of images behind a validation accuracy."""
        return int(self.surrogate.table.attrs["val_images"])

    @property
    def repeats(self) -> None:
        """No limit on the number of repeats: each draws noise of its own."""
        return

    @property
    def worlds(self) -> tuple[int, ...]:
        """Some worlds, over which a bound is averaged."""
        return WORLDS

    def world(self, seed: int) -> int:
        """Return the world of a search: its seed."""
        return seed

    def full_training(self) -> float:
        """Return the recorded seconds of a full training, averaged over the random networks of the sample."""
        return self._full_training

    @cached_property
    def _full_training(self) -> float:
        return mean_seconds(self.surrogate)

    def curve_lookup(self, world: int) -> CurveLookup:
        """Return the function that finds the learning curve of a job in a world."""
        known: dict[Architecture, Predicted] = {}

        def look_up(document: Mapping[str, object], repeat: int) -> Curve:
            architecture = Architecture.from_json(dict(document))
            if architecture not in known:
                (known[architecture],) = self.surrogate.predict([architecture])
            return self.surrogate.curve(known[architecture], world, repeat)

        return look_up

    def found_front(self, limits: Limits) -> FoundFront:
        """Return the true front within limits; the first call of a machine takes about a minute."""
        return true_front(self.surrogate, limits)

    def true_networks(self, limits: Limits) -> Mapping[str, TrueNetwork]:
        """Return the true front and usual networks within limits, by identity of the architecture.

        Raises:
            ValueError: a limit on an unknown cost.
        """
        limits.checked(next(iter(self.surrogate.table.entries.values())).costs)
        members = self.surrogate.predict(self.found_front(limits).members)
        allowed = [each for each in [*members, *self._usual] if limits.meets(each.described.costs)]
        found = {each.described.architecture.id: each for each in allowed}
        self._known.update(found)
        return {
            name: TrueNetwork(each.described.costs, 1.0 - each.test_accuracy, each.seconds)
            for name, each in found.items()
        }

    def last_accuracies(self, names: Iterable[str], world: int) -> Mapping[str, float]:
        """Return the last validation accuracy in a world of some of the `true_networks` of an earlier call."""
        vectors = {name: self.surrogate.noisy_vector(self._known[name], world, 0) for name in names}
        return {name: self.surrogate.coder.last_accuracy(vector) for name, vector in vectors.items()}

    def judged(self, architectures: Iterable[Mapping[str, Any]]) -> Mapping[str, Mapping[str, float]]:
        """Return MACs and true error of any architectures by their identity."""
        found = self.surrogate.predict([Architecture.from_json(dict(document)) for document in architectures])
        return {
            each.described.architecture.id: {
                MACS.name: float(each.described.costs[MACS.name]),
                "error": 1.0 - each.test_accuracy,
            }
            for each in found
        }

    def opener(self) -> Callable[[], SurrogateBenchmark]:
        """Return a picklable function that fits the same surrogate in another process."""
        return partial(open_surrogate, self.path, self.slots, self.charge)

    def about(self) -> dict[str, Any]:
        """Return the description of the sample as a JSON object, with the number of its networks."""
        return {
            "path": str(self.path),
            "hash": self.hash,
            "space": self.space.name,
            "architectures": self.space.size,
            "seeds": list(WORLDS),
            "epochs": self.epochs,
            "surrogate": {"networks": len(self.surrogate.table.entries)},
        }

    @cached_property
    def _usual(self) -> Sequence[Predicted]:
        generator = Random("usual")
        return self.surrogate.predict([self.space.draw(generator) for _ in range(USUAL)])


def open_surrogate(path: Path, slots: int, charge: str) -> SurrogateBenchmark:
    """Read a table and fit its surrogate, in some seconds.

    Raises:
        ValueError: a charge of another name, an invalid table, or one with too few networks of two seeds.
        OSError: the file can't be read.
    """
    if charge not in CHARGES:
        raise ValueError(f"charge must be one of {', '.join(CHARGES)}, got {charge!r}")
    return SurrogateBenchmark(Surrogate(read_table(path), charge), slots)
