"""NSGA-II of pymoo over mixed variables, full trainings."""

from __future__ import annotations

import itertools

import numpy as np
from protocol import Config, Parameter, Problem, Proposal, Result, serve
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.evaluator import Evaluator
from pymoo.core.mixed import MixedVariableDuplicateElimination, MixedVariableMating, MixedVariableSampling
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.variable import Choice, Integer, Variable
from pymoo.problems.static import StaticProblem
from pymoo.termination.default import DefaultMultiObjectiveTermination

POPULATION = 20  # pymoo's own default, 100, would leave no generation to select from


class Nsga2:
    """Optimizer that asks for a generation, one network at a time."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._space = PymooProblem(vars={each.path: _variable(each) for each in problem.parameters}, n_obj=2)
        self._algorithm = NSGA2(
            pop_size=POPULATION,
            sampling=MixedVariableSampling(),
            mating=MixedVariableMating(eliminate_duplicates=MixedVariableDuplicateElimination()),
            eliminate_duplicates=MixedVariableDuplicateElimination(),
        )
        never = DefaultMultiObjectiveTermination(n_max_gen=10**9, n_max_evals=10**9, ftol=0.0)
        self._algorithm.setup(self._space, termination=never, seed=problem.seed, verbose=False)
        self._numbers = itertools.count()
        self._generation = self._algorithm.ask()
        self._losses: list[tuple[float, float]] = []

    def ask(self) -> Proposal:
        """Return the next network of the generation, to be trained in full."""
        if len(self._losses) == len(self._generation):
            self._advance()
        chosen = self._generation[len(self._losses)].X
        config = {
            each.path: each.options[int(chosen[each.path])] if each.ordered else chosen[each.path]
            for each in self._problem.parameters
        }
        return Proposal(str(next(self._numbers)), config, self._problem.epochs)

    def tell(self, identity: str, config: Config, result: Result) -> None:
        """Keep the losses until the generation is complete."""
        self._losses.append(result.losses)

    def note(self, config: Config, result: Result) -> None:
        """Do nothing: a generation is what was asked for."""

    def _advance(self) -> None:
        """Tell the algorithm the losses of the generation and ask for the next one."""
        Evaluator().eval(StaticProblem(self._space, F=np.array(self._losses)), self._generation)
        self._algorithm.tell(infills=self._generation)
        self._generation, self._losses = self._algorithm.ask(), []


def _variable(parameter: Parameter) -> Variable:
    if parameter.ordered:
        return Integer(bounds=(0, len(parameter.options) - 1))
    return Choice(options=list(parameter.options))


if __name__ == "__main__":
    serve(Nsga2)
