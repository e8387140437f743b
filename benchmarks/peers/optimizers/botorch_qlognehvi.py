"""qLogNEHVI of BoTorch with the cost as a deterministic objective, full trainings."""

from __future__ import annotations

import itertools
import math
import random
import warnings

import torch
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.exceptions.warnings import BotorchWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models import ModelList, SingleTaskGP
from botorch.models.deterministic import GenericDeterministicModel
from botorch.optim import optimize_acqf_discrete
from botorch.sampling.get_sampler import get_sampler
from botorch.utils.multi_objective.pareto import is_non_dominated
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.utils.warnings import GPInputWarning
from protocol import Config, Parameter, Problem, Proposal, Result, serve
from torch import Tensor

warnings.simplefilter("ignore", BotorchWarning)
warnings.simplefilter("ignore", GPInputWarning)

WHOLE = 4096  # configurations up to which the pool is the whole space
POOL = 2048  # random configurations otherwise
MARGIN = 0.1  # of the range of costs, beyond which the reference point lies
SAMPLES = 64  # of the posterior; half of the library's default, in half the time
INITIAL = 10  # random networks before the model decides, as many as Optuna's samplers have


class QLogNehvi:
    """Optimizer over a pool of configurations, whose last feature is their cost.

    Hyperparameters of the process start from those of the last ask, which takes fewer steps than from the defaults.
    """

    def __init__(self, problem: Problem) -> None:
        torch.manual_seed(problem.seed)
        torch.set_num_threads(1)
        self._problem = problem
        self._generator = random.Random(problem.seed)
        self._numbers = itertools.count()
        costs = problem.costs_of([problem.random_config(self._generator) for _ in range(POOL)])
        self._cheapest, self._dearest = min(costs), max(costs)
        self._configs: list[Config] = []
        self._rows: list[Tensor] = []
        self._values: list[tuple[float, float]] = []
        self._fitted: dict[str, Tensor] = {}
        self._whole = self._enumerated()

    def ask(self) -> Proposal:
        """Return the next network, to be trained in full."""
        configs, choices = self._whole or self._encoded(self._sample())
        place = self._generator.randrange(len(configs)) if len(self._values) < INITIAL else self._best(choices)
        return Proposal(str(next(self._numbers)), configs[place], self._problem.epochs)

    def tell(self, identity: str, config: Config, result: Result) -> None:
        """Keep the observation; both objectives are maximised."""
        self.note(config, result)

    def note(self, config: Config, result: Result) -> None:
        """Keep the observation; both objectives are maximised."""
        self._configs.append(config)
        self._rows.append(self._row(config, result.losses[1]))
        self._values.append((-result.losses[0], -self._place(result.losses[1])))

    def _best(self, choices: Tensor) -> int:
        """Return the index of the choice that maximises the acquisition function, among those not observed."""
        seen = torch.stack(self._rows)
        values = torch.tensor(self._values, dtype=torch.double)
        error = SingleTaskGP(seen, values[:, :1])
        error.load_state_dict(self._fitted, strict=False)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(error.likelihood, error))
        self._fitted = {
            name: value for name, value in error.state_dict().items() if not name.startswith("outcome_transform")
        }
        cost = GenericDeterministicModel(lambda rows: -rows[..., -1:])
        model = ModelList(error, cost)
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model=model,
            sampler=get_sampler(model.posterior(seen[:1]), torch.Size([SAMPLES])),
            ref_point=[float(values[:, 0].min()), -1.0 - MARGIN],
            X_baseline=seen,
            prune_baseline=True,
        )
        left = choices[~(choices[:, None] == seen[None]).all(-1).any(-1)]
        if len(left) == 0:
            return self._generator.randrange(len(choices))
        best, _ = optimize_acqf_discrete(acquisition, q=1, choices=left)
        return int((choices == best).all(-1).nonzero()[0, 0])

    def _enumerated(self) -> tuple[list[Config], Tensor] | None:
        """Return all configurations with their features, None if there are too many."""
        options = [each.options for each in self._problem.parameters]
        if math.prod(map(len, options)) > WHOLE:
            return None
        paths = [each.path for each in self._problem.parameters]
        return self._encoded([dict(zip(paths, chosen, strict=True)) for chosen in itertools.product(*options)])

    def _sample(self) -> list[Config]:
        """Return random configurations, and all that differ in one choice from a non-dominated one."""
        drawn = [self._problem.random_config(self._generator) for _ in range(POOL)]
        best = is_non_dominated(torch.tensor(self._values, dtype=torch.double).reshape(-1, 2)).tolist()
        return drawn + [
            {**config, each.path: option}
            for config in itertools.compress(self._configs, best)
            for each in self._problem.parameters
            for option in each.options
        ]

    def _encoded(self, configs: list[Config]) -> tuple[list[Config], Tensor]:
        costs = self._problem.costs_of(configs)
        return configs, torch.stack([self._row(config, cost) for config, cost in zip(configs, costs, strict=True)])

    def _row(self, config: Config, cost: float) -> Tensor:
        """Return the features of a configuration: places of ordered options in [0, 1], one-hot options, the cost."""
        features = [value for each in self._problem.parameters for value in _features(each, config)]
        return torch.tensor([*features, self._place(cost)], dtype=torch.double)

    def _place(self, cost: float) -> float:
        """Return the place of a cost between the cheapest and the dearest network of a sample."""
        return (cost - self._cheapest) / (self._dearest - self._cheapest)


def _features(parameter: Parameter, config: Config) -> list[float]:
    place = parameter.options.index(config[parameter.path])
    if parameter.ordered:
        return [place / (len(parameter.options) - 1)]
    return [float(index == place) for index in range(len(parameter.options))]


if __name__ == "__main__":
    serve(QLogNehvi)
