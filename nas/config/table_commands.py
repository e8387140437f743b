"""What the commands about tables are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nas.config.data import DataSpec
from nas.config.fidelity import FidelitySpec
from nas.config.objective import Objective
from nas.config.sampler import SamplerSpec
from nas.config.specs import Budget, Limits, check_format, check_positive
from nas.config.training import Recipe
from nas.config.workers import WorkersSpec


@dataclass(frozen=True, kw_only=True)
class TabulateConfig:
    """What a table is made of, and where it goes.

    Attributes:
        output: the Parquet file to write; null for DATA-SPACE.parquet in the working directory.
        seeds: trainings of each network, with the seeds 0, 1, ..., at least 1.
        test_images: images of the test part to measure on after the last epoch, at least 1; null for all of them.
        early_test_images: the same after every other epoch; null for as many as after the last.
        format: how the result is printed: table, json or csv.
        data: the images.
        space: the architectures, all of which are trained.
        training: how each is trained.
        workers: who trains.

    Raises:
        ValueError: a value out of range.
    """

    output: str | None = None
    seeds: int = 3
    test_images: int | None = None
    early_test_images: int | None = None
    format: str = "table"
    data: DataSpec
    space: dict[str, Any]
    training: Recipe
    workers: WorkersSpec

    def __post_init__(self) -> None:
        check_format(self.format)
        if self.seeds < 1:
            raise ValueError(f"seeds must be at least 1, got {self.seeds}")
        check_positive("test_images", self.test_images)
        check_positive("early_test_images", self.early_test_images)


@dataclass(frozen=True, kw_only=True)
class RehearseConfig:
    """What is rehearsed, on which table, and how it is shown.

    Attributes:
        table: the Parquet file that `nas tabulate` wrote.
        seed: of the first rehearsal, at least 0; the others have the seeds that follow.
        seeds: rehearsals, at least 1.
        slots: simulated trainings at once, at least 1.
        charge: what an epoch costs: `seconds`, those of the clock as recorded, or `cpu_seconds`, those of the
            processor, for a table that was made on a busy machine.
        thinking: whether the processor seconds that driver and sampler think are charged too; not with format=json.
        plot: the PNG to draw; null for none.
        format: how the result is printed: table, json or csv.
        start: published networks to begin with, brought onto the table's space, e.g. [googlenet].
        objective: the axes of the front that the search looks for.
        limits: what a network may cost.
        sampler: who draws the architectures.
        fidelity: how far each is trained.
        budget: when a search ends; trainings are counted by the mean full training of the table.
        workers: slots is how many rehearsals are played at once.

    Raises:
        ValueError: a value out of range.
    """

    table: str | None = None
    seed: int = 0
    seeds: int = 10
    slots: int = 1
    charge: str = "seconds"
    thinking: bool = False
    plot: str | None = "rehearsal.png"
    format: str = "table"
    start: tuple[str, ...] = ()
    objective: tuple[Objective, ...]
    limits: Limits
    sampler: SamplerSpec
    fidelity: FidelitySpec
    budget: Budget
    workers: WorkersSpec

    def __post_init__(self) -> None:
        check_format(self.format)
        if self.seed < 0 or self.seeds < 1:
            raise ValueError(f"seed must be at least 0 and seeds at least 1, got {self.seed} and {self.seeds}")
        if not self.objective:
            raise ValueError("objective must name at least one objective, e.g. objective=[val_accuracy,macs]")
        if self.thinking and self.format == "json":
            raise ValueError("format=json holds nothing that a real clock says, so thinking must be false with it")
