"""Benchmark: the trainings that a simulated search sees and the truth that scores it, of a table or of a surrogate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nas.objectives.limits import Limits
from nas.tabular.simulation.executor import CurveLookup
from search_space.space import Space


@dataclass(frozen=True)
class TrueNetwork:
    """Costs and true results of a network.

    Attributes:
        costs: exact costs by name.
        error: 1 - mean test accuracy over seeds.
        seconds: mean charged seconds of a full training.
    """

    costs: Mapping[str, float]
    error: float
    seconds: float


class Benchmark(Protocol):
    """Trainings of one space with one recipe, recorded or predicted.

    A world is one draw of the trainings' noise: a seed of a table, or any number of a surrogate.
    """

    @property
    def path(self) -> Path:
        """File of its data."""
        ...

    @property
    def hash(self) -> str:
        """SHA-256 of its data."""
        ...

    @property
    def space(self) -> Space:
        """Space of its architectures."""
        ...

    @property
    def epochs(self) -> int:
        """Number of epochs of a full training."""
        ...

    @property
    def validation_images(self) -> int:
        """Number of images behind a validation accuracy."""
        ...

    @property
    def slots(self) -> int:
        """Number of simulated slots."""
        ...

    @property
    def charge(self) -> str:
        """Column that an epoch costs on the simulated clock."""
        ...

    @property
    def repeats(self) -> int | None:
        """Largest number of repeats of a training; None for any."""
        ...

    @property
    def worlds(self) -> tuple[int, ...]:
        """Worlds over which a bound of the scores is averaged."""
        ...

    def world(self, seed: int) -> int:
        """Return the world of a search with this seed."""
        ...

    def full_training(self) -> float:
        """Return the seconds of one full-training equivalent."""
        ...

    def curve_lookup(self, world: int) -> CurveLookup:
        """Return the function that finds the learning curve of a job in a world."""
        ...

    def true_networks(self, limits: Limits) -> Mapping[str, TrueNetwork]:
        """Return the networks within limits that hold the true front, by identity of the architecture.

        Raises:
            ValueError: a limit on an unknown cost.
        """
        ...

    def last_accuracies(self, names: Iterable[str], world: int) -> Mapping[str, float]:
        """Return the last validation accuracy in a world of some of the `true_networks`, by identity."""
        ...

    def judged(self, architectures: Iterable[Mapping[str, Any]]) -> Mapping[str, Mapping[str, float]]:
        """Return MACs and true error by identity of those architectures that `true_networks` may lack."""
        ...

    def opener(self) -> Callable[[], Benchmark]:
        """Return a picklable function that opens the benchmark in another process."""
        ...

    def about(self) -> dict[str, Any]:
        """Return its description as a JSON object: `path`, `hash`, `space`, `architectures`, `seeds` and `epochs`."""
        ...
