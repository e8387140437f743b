"""Bayesian optimization of DeepHyper with extremely randomized trees and random Chebyshev weights, full trainings."""

from __future__ import annotations

import itertools

from deephyper.hpo import CBO, HpProblem
from protocol import Config, Problem, Proposal, Result, serve


class DeepHyper:
    """Optimizer behind `CBO`, which maximises."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        space = HpProblem()
        for each in problem.parameters:
            if each.ordered:
                space.add_hyperparameter((0, len(each.options) - 1), each.path)
            else:
                space.add_hyperparameter([str(option) for option in each.options], each.path)
        self._search = CBO(space, random_state=problem.seed, acq_optimizer="sampling", checkpoint_history_to_csv=False)
        self._numbers = itertools.count()

    def ask(self) -> Proposal:
        """Return the next network, to be trained in full."""
        drawn = self._search.ask(1)[0]
        config = {
            each.path: each.options[int(drawn[each.path])]
            if each.ordered
            else next(option for option in each.options if str(option) == drawn[each.path])
            for each in self._problem.parameters
        }
        return Proposal(str(next(self._numbers)), config, self._problem.epochs)

    def tell(self, identity: str, config: Config, result: Result) -> None:
        """Tell the objectives."""
        self.note(config, result)

    def note(self, config: Config, result: Result) -> None:
        """Tell the objectives."""
        drawn = {
            each.path: each.options.index(config[each.path]) if each.ordered else str(config[each.path])
            for each in self._problem.parameters
        }
        self._search.tell([(drawn, tuple(-loss for loss in result.losses))])


if __name__ == "__main__":
    serve(DeepHyper)
