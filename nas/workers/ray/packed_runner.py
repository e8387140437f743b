"""A runner on its way to a child on another machine; the child imports this module, and must not import Ray with it."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

from nas.jobs import Control, Job, Outcome, Runner


@runtime_checkable
class Movable(Protocol):
    """A runner that can read its images from another folder."""

    def reading(self, folder: Path) -> Runner:
        """The same runner with its images in `folder`."""
        ...


@dataclass(frozen=True)
class Packed:
    """A runner that is unpacked where it runs.

    Attributes:
        runner: the runner, pickled by the driver.
        supplies: folder to read the images from; None for where the runner finds them by itself.
    """

    runner: bytes
    supplies: Path | None

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job`."""
        runner = pickle.loads(self.runner)
        if self.supplies is not None and isinstance(runner, Movable):
            runner = runner.reading(self.supplies)
        return cast(Runner, runner)(job, control)
