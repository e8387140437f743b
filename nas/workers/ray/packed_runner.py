"""Runner on its way to a worker process of another machine, which must not import Ray with this module."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from nas.config.data import DataSpec
from nas.jobs import Control, Job, Outcome, Runner


@runtime_checkable
class ImageRunner(Protocol):
    """Runner that reads images from a cache folder."""

    @property
    def images(self) -> DataSpec:
        """The images."""
        ...

    def with_images_in(self, folder: Path) -> Runner:
        """Return the same runner with its images in `folder`."""
        ...


@dataclass(frozen=True)
class PackedRunner:
    """Runner that is unpickled in the process that trains.

    Attributes:
        runner: the runner, pickled by the driver.
        images: folder to read the images from; None if the runner finds them by itself.
    """

    runner: bytes
    images: Path | None

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job`."""
        runner = pickle.loads(self.runner)
        if self.images is not None and isinstance(runner, ImageRunner):
            runner = runner.with_images_in(self.images)
        return cast(Runner, runner)(job, control)
