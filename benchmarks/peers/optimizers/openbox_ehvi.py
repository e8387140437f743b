"""Expected hypervolume improvement of OpenBox, full trainings."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
from openbox import Advisor, Observation
from openbox import space as spaces
from protocol import Config, Parameter, Problem, Proposal, Result, serve

SAMPLE = 256  # random networks of which the dearest gives the reference point
INITIAL = 10  # networks before the model decides, as many as Optuna's samplers have


class OpenBox:
    """Optimizer behind `Advisor`."""

    def __init__(self, problem: Problem) -> None:
        random.seed(problem.seed)
        np.random.seed(problem.seed)  # the library draws from the global generator
        self._problem = problem
        generator = random.Random(problem.seed)
        dearest = max(problem.costs_of([problem.random_config(generator) for _ in range(SAMPLE)]))
        space = spaces.Space()
        space.add_variables([_variable(each) for each in problem.parameters])
        self._advisor = Advisor(
            space,
            num_objectives=2,
            ref_point=[1.0, dearest],
            initial_trials=INITIAL,
            random_state=problem.seed,
        )
        self._asked: dict[str, Any] = {}
        self._numbers = itertools.count()

    def ask(self) -> Proposal:
        """Return the next network, to be trained in full."""
        identity = str(next(self._numbers))
        self._asked[identity] = self._advisor.get_suggestion()
        drawn = self._asked[identity].get_dictionary()
        config = {each.path: each.options[int(drawn[each.path])] for each in self._problem.parameters}
        return Proposal(identity, config, self._problem.epochs)

    def tell(self, identity: str, config: Config, result: Result) -> None:
        """Tell the objectives."""
        self._advisor.update_observation(Observation(self._asked.pop(identity), objectives=list(result.losses)))

    def note(self, config: Config, result: Result) -> None:
        """Do nothing: the advisor takes configurations of its own."""


def _variable(parameter: Parameter) -> Any:
    """Return the variable of a parameter, over the places of its options."""
    if parameter.ordered:
        return spaces.Int(parameter.path, 0, len(parameter.options) - 1)
    return spaces.Categorical(parameter.path, [str(place) for place in range(len(parameter.options))])


if __name__ == "__main__":
    serve(OpenBox)
