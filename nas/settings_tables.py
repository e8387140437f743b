"""What the commands about tables are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nas.data.spec import DataSpec
from nas.specs import check_format, check_positive
from nas.training.recipe import Recipe
from nas.workers.spec import WorkersSpec


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
