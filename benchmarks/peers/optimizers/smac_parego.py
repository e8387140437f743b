"""ParEGO of SMAC3 with its random forest, full trainings."""

from __future__ import annotations

import itertools

from ConfigSpace import Categorical, ConfigurationSpace, Integer
from protocol import Config, Problem, Proposal, Result, serve
from smac import HyperparameterOptimizationFacade as Facade
from smac import Scenario
from smac.multi_objective.parego import ParEGO
from smac.runhistory.dataclasses import TrialInfo, TrialValue

UNLIMITED = 100_000
INITIAL_SHARE = 0.25  # of the budget's trainings; what SMAC allows its initial design


class Smac:
    """Optimizer behind the facade for hyperparameters."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        space = ConfigurationSpace(seed=problem.seed)
        for each in problem.parameters:
            places = list(range(len(each.options)))
            space.add(Integer(each.path, (0, places[-1])) if each.ordered else Categorical(each.path, places))
        scenario = Scenario(
            space,
            objectives=["error", "log_macs"],
            deterministic=True,
            n_trials=UNLIMITED,
            seed=problem.seed,
        )
        self._facade = Facade(
            scenario,
            multi_objective_algorithm=ParEGO(scenario),
            initial_design=Facade.get_initial_design(scenario, n_configs=round(INITIAL_SHARE * problem.trainings)),
            logging_level=40,
            overwrite=True,
        )
        self._asked: dict[str, TrialInfo] = {}
        self._numbers = itertools.count()

    def ask(self) -> Proposal:
        """Return the next network, to be trained in full."""
        identity = str(next(self._numbers))
        self._asked[identity] = self._facade.ask()
        drawn = dict(self._asked[identity].config)
        config = {each.path: each.options[int(drawn[each.path])] for each in self._problem.parameters}
        return Proposal(identity, config, self._problem.epochs)

    def tell(self, identity: str, config: Config, result: Result) -> None:
        """Tell the objectives."""
        value = TrialValue(cost=list(result.losses), time=result.seconds)
        self._facade.tell(self._asked.pop(identity), value, save=False)

    def note(self, config: Config, result: Result) -> None:
        """Do nothing: the intensifier compares what it has asked for."""


if __name__ == "__main__":
    serve(Smac)
