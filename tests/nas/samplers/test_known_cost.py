"""The known-cost sampler in plain Optuna studies, outside of a search."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import numpy as np
import optuna
import pytest
from engine import AXES, SMALL, space_of
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from nas.objectives.pareto import Axis, hypervolume
from nas.objectives.requirements import Measure, exact_measure
from nas.samplers.known_cost.acquisition import TrialHistory, fit_acquisition, log_costs
from nas.samplers.known_cost.optimizer import Optimizer, radical_inverse
from nas.samplers.known_cost.sampler import KnownCostSampler, problem_of
from nas.samplers.known_cost.settings import Settings
from nas.samplers.known_cost.training_time import predict_seconds
from nas.study.belief.surrogate import SurrogateFitter
from nas.study.parameters import TrialChooser
from search_space.architecture import Architecture
from search_space.space import Space

SPACE = space_of(SMALL)
LIGHT = Settings(start=6, pool=150, changes=40)
ACCURACY = Axis("accuracy", "maximize", False, 1.0, 0.1)


def four_costs() -> Measure:
    """Network id and as many costs as a study may have here."""
    exact = exact_measure()

    def measure(architecture: Architecture) -> tuple[str, Mapping[str, float]]:
        name, costs = exact(architecture)
        return name, {**costs, "blocks": 1.0 + len(architecture.stages[0].blocks)}

    return measure


COST_AXES = [
    Axis("macs", "minimize", True, 1e3, 1e6),
    Axis("params", "minimize", True, 1e1, 1e5),
    Axis("memory_mib", "minimize", True, 1e-4, 1e-1),
    Axis("blocks", "minimize", False, 0.0, 4.0),
]


def accuracy(architecture: Architecture, costs: Mapping[str, float]) -> float:
    """Grows with the logarithm of MACs, and with the width of the stem beyond that."""
    return 0.2 + 0.1 * math.log10(costs["macs"]) + 0.01 * architecture.stem.width


def run(
    sampler: BaseSampler, axes: list[Axis], trials: int, space: Space = SPACE
) -> tuple[optuna.Study, list[Architecture]]:
    measure, asked = four_costs(), []

    def objective(trial: optuna.Trial) -> tuple[float, ...]:
        architecture = space.sample(TrialChooser(trial))
        asked.append(architecture)
        costs = measure(architecture)[1]
        return tuple(costs.get(axis.name, accuracy(architecture, costs)) for axis in axes)

    study = optuna.create_study(directions=[axis.direction for axis in axes], sampler=sampler)
    study.optimize(objective, n_trials=trials)
    return study, asked


def copy_without(study: optuna.Study, number: int) -> optuna.Study:
    """Return a study with the trials of another but one."""
    copy = optuna.create_study(directions=study.directions)
    copy.add_trials([trial for trial in study.get_trials() if trial.number != number])
    return copy


@pytest.mark.parametrize("costs", range(5))
def test_it_takes_any_number_of_costs(costs: int) -> None:
    axes = [*COST_AXES[:costs], ACCURACY]
    _, asked = run(KnownCostSampler.for_space(SPACE, axes, settings=LIGHT, measure=four_costs(), seed=0), axes, 10)
    assert len({four_costs()(architecture)[0] for architecture in asked}) == 10


def test_the_same_seed_asks_the_same() -> None:
    axes = [ACCURACY, COST_AXES[0]]
    first, again, other = (
        run(KnownCostSampler.for_space(SPACE, axes, settings=LIGHT, seed=s), axes, 9)[1] for s in (1, 1, 2)
    )
    assert first == again != other


def test_samplers_that_share_an_optimizer_draw_as_new_ones_do() -> None:
    axes = [ACCURACY, COST_AXES[0]]
    study, _ = run(KnownCostSampler.for_space(SPACE, axes, settings=LIGHT, seed=1), axes, 9)
    measure = exact_measure()
    problem = problem_of(axes, {"macs": "macs"}, {})
    shared = Optimizer(SPACE, measure, problem, LIGHT)
    drawn = []
    for optimizer in (shared, shared, Optimizer(SPACE, measure, problem, LIGHT)):
        study.sampler = KnownCostSampler(optimizer, axes, seed=3)
        trial = study.ask()
        drawn.append(SPACE.sample(TrialChooser(trial)))
        study.tell(trial, state=TrialState.FAIL)
        study = copy_without(study, trial.number)
    assert drawn[0] == drawn[1] == drawn[2]


def test_it_finds_more_of_the_front_than_chance_does() -> None:
    axes = [ACCURACY, COST_AXES[0]]

    def covered(sampler: BaseSampler) -> float:
        study, _ = run(sampler, axes, 16)
        points = [[axis.loss(v) for axis, v in zip(axes, t.values, strict=True)] for t in study.trials]
        return hypervolume(np.array(points))

    ours = [covered(KnownCostSampler.for_space(SPACE, axes, settings=LIGHT, seed=seed)) for seed in range(3)]
    assert np.mean(ours) > np.mean([covered(RandomSampler(seed=seed)) for seed in range(3)]) + 0.02


def test_the_first_draws_are_spread_over_the_cost() -> None:
    axes = [ACCURACY, COST_AXES[0]]
    _, asked = run(KnownCostSampler.for_space(SPACE, axes, settings=Settings(start=8, pool=150), seed=4), axes, 8)
    logs = np.sort([math.log10(exact_measure()(architecture)[1]["macs"]) for architecture in asked])
    assert np.diff(logs).max() < 0.5 * (logs[-1] - logs[0])
    assert logs[-1] - logs[0] > 1.0
    assert sorted(radical_inverse(number) for number in range(1, 8)) == [k / 8 for k in range(1, 8)]


def test_improvement_is_divided_by_the_root_of_the_predicted_seconds() -> None:
    problem = problem_of([ACCURACY, COST_AXES[0]], {"macs": "macs"}, {})
    optimizer = Optimizer(SPACE, exact_measure(), problem, LIGHT)
    generator = random.Random(0)
    trained = [optimizer.networks.network(SPACE.draw(generator)) for _ in range(4)]
    asked = [optimizer.networks.network(SPACE.draw(generator)) for _ in range(8)]
    losses, seconds = np.array([0.4, 0.3, 0.5, 0.6]), np.array([3.0, 12.0, 6.0, 24.0])
    history = TrialHistory(range(4), trained, losses, np.zeros(4), seconds, [], frozenset())
    fitter = SurrogateFitter(optimizer.networks.features.layout)
    gains, shared = (fit_acquisition(problem, fitter, history, power).evaluate(asked) for power in (0.0, 0.5))
    macs = list(asked[0].costs).index("macs")
    predicted = predict_seconds(log_costs(trained), seconds, log_costs(asked), macs)
    assert (gains > 0).any()
    assert shared == pytest.approx(gains / np.sqrt(predicted))
    frozen = fit_acquisition(problem, fitter, history, 0.5).evaluate_frozen([trained[0]] * 2, np.array([1.0, 4.0]))
    assert frozen[0] == pytest.approx(2 * frozen[1])


def test_limits_are_never_asked_against() -> None:
    axes = [ACCURACY, COST_AXES[0]]
    limits = {"macs": 9000.0, "params": 500.0}
    _, asked = run(KnownCostSampler.for_space(SPACE, axes, limits=limits, settings=LIGHT, seed=5), axes, 14)
    costs = [exact_measure()(architecture)[1] for architecture in asked]
    assert all(c["macs"] <= 9000 and c["params"] <= 500 for c in costs)


def test_failed_pruned_and_running_trials_are_no_trouble_and_a_nan_is_never_taken() -> None:
    axes = [ACCURACY, COST_AXES[0]]
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=KnownCostSampler.for_space(SPACE, axes, settings=LIGHT, seed=6)
    )
    asked = []
    for number in range(24):
        trial = study.ask()
        architecture = SPACE.sample(TrialChooser(trial))
        asked.append(exact_measure()(architecture)[0])
        if number % 4 == 0:
            study.tell(trial, state=TrialState.FAIL)
        elif number % 4 == 1:
            study.tell(trial, state=TrialState.PRUNED)
        elif number % 4 == 2:
            costs = exact_measure()(architecture)[1]
            value = math.inf if number == 10 else accuracy(architecture, costs)
            study.tell(trial, [value, costs["macs"]])
    assert len(set(asked)) == 24
    study.optimize(lambda trial: (SPACE.sample(TrialChooser(trial)).stem.width * math.nan, 1.0), n_trials=1)
    assert study.trials[-1].state == TrialState.FAIL
    study.ask()


def test_running_trials_are_taken_into_account() -> None:
    """Eight asks at once spread, where an ask that knew of none of the others would name much the same."""
    axes = [ACCURACY, COST_AXES[0]]
    study, _ = run(KnownCostSampler.for_space(SPACE, axes, settings=LIGHT, seed=7), axes, 8)
    measure = exact_measure()
    macs = [measure(SPACE.sample(TrialChooser(study.ask())))[1]["macs"] for _ in range(8)]
    assert max(macs) / min(macs) > 2


def test_enqueued_and_foreign_trials_are_no_trouble() -> None:
    axes = [ACCURACY, COST_AXES[0]]
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=KnownCostSampler.for_space(SPACE, axes, settings=LIGHT, seed=9)
    )
    study.add_trial(optuna.create_trial(values=[0.5, 3.0], params={}, distributions={}))
    study.enqueue_trial({"stem.width": 12})
    assert SPACE.sample(TrialChooser(study.ask())).stem.width == 12
    assert SPACE.contains(SPACE.sample(TrialChooser(study.ask())))


def test_an_objective_must_be_told_by_training_and_the_first_such_one_counts() -> None:
    with pytest.raises(ValueError, match="known_cost needs an objective that is measured by training, got macs"):
        KnownCostSampler.for_space(SPACE, COST_AXES[:1])
    several = [ACCURACY, AXES["val_accuracy"], COST_AXES[0]]
    _, asked = run(KnownCostSampler.for_space(SPACE, several, settings=LIGHT, seed=0), several, 9)
    assert len(set(asked)) == 9


@pytest.mark.parametrize("wrong", [{"start": 0}, {"pool": 0}, {"changes": -1}, {"seconds_power": -0.5}], ids=str)
def test_settings_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must"):
        Settings(**wrong)
