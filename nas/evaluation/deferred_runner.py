"""Runner that is built where it runs, so that a process that only sends it does without torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, cast

from nas.config.training import Recipe
from nas.data import DataSpec
from nas.jobs import Control, Job, Outcome, Runner

TRIAL_RUNNER = "nas.evaluation.trial_runner:TrialRunner"
"""Runner of a search's jobs; its module takes seconds to import, as it loads torch."""


@dataclass(frozen=True)
class DeferredRunner:
    """Runner of a search's jobs, or one around it, that the process of a job builds.

    Attributes:
        images: images to train and validate on.
        recipe: optimizer, schedule and augmentation.
        threads: CPU threads of a job, at least 1.
        around: class whose first argument is the runner of a search, as `module:name`; None for that runner itself.
        arguments: further arguments of that class.
        deterministic: whether its trainings are to be the same in every run.
        whole: whether it trains on the validation part too, and validates nothing.
    """

    images: DataSpec
    recipe: Recipe
    threads: int
    around: str | None = None
    arguments: tuple[Any, ...] = ()
    deterministic: bool = False
    whole: bool = False

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job`."""
        return self.built()(job, control)

    def with_images_in(self, folder: Path) -> DeferredRunner:
        """Return the same runner for a machine with the decoded images in `folder`."""
        return replace(self, images=self.images.stored_in(folder))

    def built(self) -> Runner:
        """Return the runner itself."""
        settings = {"deterministic": self.deterministic, "whole": self.whole}
        trial = resolve_name(TRIAL_RUNNER)(self.images, self.recipe, self.threads, **settings)
        return cast(Runner, trial if self.around is None else resolve_name(self.around)(trial, *self.arguments))
