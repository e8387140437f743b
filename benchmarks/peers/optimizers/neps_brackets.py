"""Multi-fidelity optimizers of NePS: `mo_hyperband`, and PriMO with the prior that small networks are cheap."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import neps
import numpy as np
import torch
from protocol import Config, Parameter, Problem, Proposal, Result, serve

FIDELITY = "epochs"
CONFIDENCE = 0.75  # `medium`, between NePS' words `low` (0.5) and `high` (0.9)
SAMPLE = 256  # random networks between whose costs the cost is normalised


class Neps:
    """Optimizer behind NePS' `AskAndTell`.

    PriMO adds up weighted objectives as they are, so that the cost is told as its place between the cheapest and the
    dearest network of a sample, like the error about in [0, 1]. It draws the weights once, which would lead to one
    network; they are drawn anew before each ask.
    """

    def __init__(self, problem: Problem, make: Callable[[Problem, neps.SearchSpace], Any]) -> None:
        random.seed(problem.seed)
        np.random.seed(problem.seed)  # the library draws from the global generator
        torch.manual_seed(problem.seed)
        torch.set_num_threads(1)
        self._problem = problem
        generator = random.Random(problem.seed)
        costs = problem.costs_of([problem.random_config(generator) for _ in range(SAMPLE)])
        self._cheapest, self._dearest = min(costs), max(costs)
        elements = {each.path: _element(each) for each in problem.parameters}
        elements[FIDELITY] = neps.HPOInteger(1, problem.epochs, is_fidelity=True)
        self._optimizer = make(problem, neps.SearchSpace(elements))
        self._asker = neps.AskAndTell(self._optimizer)

    def ask(self) -> Proposal:
        """Return the next trial, with the epochs of its rung."""
        if hasattr(self._optimizer, "scalarization_weights"):
            self._optimizer.scalarization_weights = None
        trial = self._asker.ask()
        config = {
            each.path: each.options[int(trial.config[each.path])] if each.ordered else trial.config[each.path]
            for each in self._problem.parameters
        }
        return Proposal(trial.metadata.id, config, int(trial.config[FIDELITY]), self._since(trial))

    def tell(self, identity: str, config: Config, result: Result) -> None:
        """Tell the objectives of a trial."""
        error, log_macs = result.losses
        place = (log_macs - self._cheapest) / (self._dearest - self._cheapest)
        self._asker.tell(identity, {"objective_to_minimize": [error, place], "cost": result.seconds})

    def note(self, config: Config, result: Result) -> None:
        """Do nothing: a bracket holds its own trials."""

    def _since(self, trial: neps.Trial) -> int:
        """Return the epochs of the trial that this one goes on from, 0 for none."""
        before = self._asker.trials.get(trial.metadata.previous_trial_id or "")
        return 0 if before is None else int(before.config[FIDELITY])


def _element(parameter: Parameter) -> Any:
    if parameter.ordered:
        return neps.HPOInteger(0, len(parameter.options) - 1)
    return neps.HPOCategorical(list(parameter.options))


def _mo_hyperband(_: Problem, space: neps.SearchSpace) -> Any:
    return neps.algorithms.mo_hyperband(space)


def _primo(problem: Problem, space: neps.SearchSpace) -> Any:
    center = {
        each.path: each.options.index(option) if each.ordered else option
        for each in problem.parameters
        for option in [_cheapest(problem)[each.path]]
    }
    return neps.algorithms.primo(
        space,
        prior_centers={"log_macs": center},
        prior_confidences={"log_macs": dict.fromkeys(center, CONFIDENCE)},
    )


def _cheapest(problem: Problem) -> Config:
    """Return the cheapest network that changes of one choice at a time lead to."""
    config = {each.path: each.options[0] for each in problem.parameters}
    for each in problem.parameters:
        changed = [{**config, each.path: option} for option in each.options]
        costs = problem.costs_of(changed)
        config = changed[costs.index(min(costs))]
    return config


MAKERS = {"mo_hyperband": _mo_hyperband, "primo": _primo}

if __name__ == "__main__":
    serve(lambda problem: Neps(problem, MAKERS[sys.argv[1]]))
