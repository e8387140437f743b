"""MOASHA of Syne Tune: random networks, stopped at a rung unless they are among the better third by Pareto rank."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
from protocol import Config, Problem, Proposal, Result, serve
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice, randint
from syne_tune.optimizer.scheduler import SchedulerDecision
from syne_tune.optimizer.schedulers.ask_tell_scheduler import AskTellScheduler
from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

REDUCTION = 3


class Moasha:
    """Optimizer that trains a network epoch by epoch, until the scheduler stops it."""

    def __init__(self, problem: Problem) -> None:
        random.seed(problem.seed)
        np.random.seed(problem.seed)  # the library draws from the global generator
        self._problem = problem
        self._scheduler = MOASHA(
            config_space={
                each.path: randint(0, len(each.options) - 1) if each.ordered else choice(list(map(str, each.options)))
                for each in problem.parameters
            },
            metrics=["error", "log_macs"],
            time_attr="epoch",
            max_t=problem.epochs,
            grace_period=1,
            reduction_factor=REDUCTION,
            random_seed=problem.seed,
        )
        self._asker = AskTellScheduler(self._scheduler)
        self._trial: Trial | None = None
        self._epochs = 0

    def ask(self) -> Proposal:
        """Return the next epoch of the trial that goes on, or the first one of a new trial."""
        if self._trial is None:
            self._trial, self._epochs = self._asker.ask(), 0
            self._scheduler.on_trial_add(self._trial)
        config = self._config(self._trial.config)
        return Proposal(str(self._trial.trial_id), config, self._epochs + 1, self._epochs)

    def tell(self, identity: str, config: Config, result: Result) -> None:
        """Report the epoch, and end the trial if the scheduler says so."""
        assert self._trial is not None
        self._epochs = result.epochs
        report = {"error": result.losses[0], "log_macs": result.losses[1], "epoch": result.epochs}
        if result.epochs == self._problem.epochs:
            self._scheduler.on_trial_complete(self._trial, report)
            self._trial = None
        elif self._scheduler.on_trial_result(self._trial, report) == SchedulerDecision.STOP:
            self._scheduler.on_trial_remove(self._trial)
            self._trial = None

    def note(self, config: Config, result: Result) -> None:
        """Do nothing: a trial begins at its first epoch."""

    def _config(self, drawn: dict[str, Any]) -> Config:
        found: Config = {}
        for each in self._problem.parameters:
            # Categories have one type in this library, which options need not have: their texts stand for them.
            named = {str(option): option for option in each.options}
            found[each.path] = each.options[drawn[each.path]] if each.ordered else named[drawn[each.path]]
        return found


if __name__ == "__main__":
    serve(Moasha)
