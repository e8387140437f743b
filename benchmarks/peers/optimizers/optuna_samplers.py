"""Optuna's samplers with two objectives, full trainings, all choices present in every trial."""

from __future__ import annotations

import sys
import warnings

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import create_trial
from protocol import Config, Parameter, Problem, Proposal, Result, serve

warnings.simplefilter("ignore", ExperimentalWarning)
optuna.logging.set_verbosity(optuna.logging.WARNING)


class OptunaStudy:
    """Optimizer that asks a study in memory; ordered options are integers, their places in the order."""

    def __init__(self, problem: Problem, sampler: BaseSampler) -> None:
        self._problem = problem
        self._study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
        self._distributions = {each.path: _distribution(each) for each in problem.parameters}

    def ask(self) -> Proposal:
        """Return the network of a new trial, to be trained in full."""
        trial = self._study.ask(self._distributions)
        config = {
            each.path: each.options[trial.params[each.path]] if each.ordered else trial.params[each.path]
            for each in self._problem.parameters
        }
        return Proposal(str(trial.number), config, self._problem.epochs)

    def tell(self, identity: str, config: Config, result: Result) -> None:
        """Tell the study the values of a trial."""
        self._study.tell(int(identity), list(result.losses))

    def note(self, config: Config, result: Result) -> None:
        """Add a complete trial."""
        params = {
            each.path: each.options.index(config[each.path]) if each.ordered else config[each.path]
            for each in self._problem.parameters
        }
        self._study.add_trial(
            create_trial(params=params, distributions=self._distributions, values=list(result.losses))
        )


def _distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.ordered:
        return IntDistribution(0, len(parameter.options) - 1)
    return CategoricalDistribution(parameter.options)


SAMPLERS = {
    "tpe": lambda seed: TPESampler(seed=seed),
    "gp": lambda seed: GPSampler(seed=seed, deterministic_objective=False),
}


if __name__ == "__main__":
    serve(lambda problem: OptunaStudy(problem, SAMPLERS[sys.argv[1]](problem.seed)))
