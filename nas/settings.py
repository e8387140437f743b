"""Everything that a command is told, as frozen values that check themselves: one class a command.

They are made of the specs of the rooms, and know nothing of the files and overrides that they are composed from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.data.spec import DataSpec
from nas.fidelity.spec import FidelitySpec
from nas.objectives import Objective
from nas.samplers.spec import SamplerSpec
from nas.specs import Budget, Limits, StorageSpec
from nas.training.recipe import Recipe
from nas.workers.spec import WorkersSpec

FORMATS = ("table", "json", "csv")


def _check_format(given: str) -> None:
    if given not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {given!r}")


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Everything that a search is made of.

    Attributes:
        study: names the study, a folder under `outputs`, or a path; null names it after its data and space.
        outputs: folder of the studies.
        seed: seeds the sampler and every training, at least 0.
        format: how the front is printed at the end: table, json or csv.
        data: the images.
        space: the architectures that may be drawn.
        objective: the axes of the front, in order.
        limits: what a network may cost.
        sampler: who draws the architectures.
        fidelity: how far each is trained.
        training: how each is trained.
        budget: when the search ends.
        workers: who trains.
        storage: where the study is kept.

    Raises:
        ValueError: a value out of range, or no objective.
    """

    study: str | None = None
    outputs: str = "outputs"
    seed: int = 0
    format: str = "table"
    data: DataSpec
    space: dict[str, Any]
    objective: tuple[Objective, ...]
    limits: Limits
    sampler: SamplerSpec
    fidelity: FidelitySpec
    training: Recipe
    budget: Budget
    workers: WorkersSpec
    storage: StorageSpec

    def __post_init__(self) -> None:
        _check_format(self.format)
        if self.seed < 0:
            raise ValueError(f"seed must be at least 0, got {self.seed}")
        if not self.objective:
            raise ValueError("objective must name at least one objective, e.g. objective=[val_accuracy,macs]")


@dataclass(frozen=True, kw_only=True)
class ReadConfig:
    """What every command that reads one study is told.

    Attributes:
        study: the study, a folder under `outputs`, or a path.
        outputs: folder of the studies.
        format: how the result is printed: table, json or csv.
        storage: where the study is kept.

    Raises:
        ValueError: a value out of range.
    """

    study: str | None = None
    outputs: str = "outputs"
    format: str = "table"
    storage: StorageSpec

    def __post_init__(self) -> None:
        _check_format(self.format)


@dataclass(frozen=True, kw_only=True)
class FrontConfig(ReadConfig):
    """What `nas front` is told: which study, and how to print it."""


@dataclass(frozen=True, kw_only=True)
class StatusConfig(ReadConfig):
    """What `nas status` is told: which study, and how to print it."""


@dataclass(frozen=True, kw_only=True)
class DescribeConfig(SearchConfig):
    """What a search would be made of, or one architecture.

    Attributes:
        architecture: a JSON file, or a trial of a study as STUDY:NUMBER; null describes the space.
        samples: how many architectures are drawn from the space, at least 1.

    Raises:
        ValueError: a value out of range.
    """

    architecture: str | None = None
    samples: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples < 1:
            raise ValueError(f"samples must be at least 1, got {self.samples}")


ROOTS: Mapping[str, type] = {
    "search": SearchConfig,
    "status": StatusConfig,
    "front": FrontConfig,
    "describe": DescribeConfig,
}
