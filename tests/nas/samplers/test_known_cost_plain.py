"""Promises of the known-cost sampler in a plain Optuna study: threads, processes, raw values, an end."""

from __future__ import annotations

import copy
import logging
import math
import multiprocessing
import pickle
import random
from collections.abc import Mapping
from pathlib import Path

import optuna
import pytest
from engine import SMALL, TINY, space_of
from optuna.trial import TrialState

from nas.objectives.pareto import Axis
from nas.objectives.requirements import exact_measure
from nas.samplers.known_cost.acquisition import TrialHistory
from nas.samplers.known_cost.candidates import Network
from nas.samplers.known_cost.sampler import ExhaustedError, KnownCostSampler
from nas.samplers.known_cost.settings import Settings
from nas.study.parameters import Draw, TrialChooser
from search_space.architecture import Architecture
from search_space.space import Space

SPACE = space_of(SMALL)
LIGHT = Settings(start=4, pool=150, changes=40)
MACS = Axis("macs", "minimize", True, 1e3, 1e6)
ACCURACY = Axis("accuracy", "maximize", False, 1.0, 0.1)
LOSS = Axis("loss", "minimize", True, 1e-3, 1.0)
MEASURE = exact_measure()


def sampler(
    space: Space = SPACE, trained: Axis = ACCURACY, seed: int = 0, limits: Mapping[str, float] | None = None
) -> KnownCostSampler:
    return KnownCostSampler.for_space(space, [trained, MACS], settings=LIGHT, seed=seed, limits=limits)


def study_with(mine: KnownCostSampler, trained: Axis = ACCURACY) -> optuna.Study:
    return optuna.create_study(directions=[trained.direction, "minimize"], sampler=mine)


def train(trial: optuna.Trial, space: Space = SPACE) -> tuple[float, float]:
    architecture = space.sample(TrialChooser(trial))
    macs = MEASURE(architecture)[1]["macs"]
    return 0.2 + 0.1 * math.log10(macs) + 0.01 * architecture.stem.width, macs


def network(trial: optuna.Trial, space: Space = SPACE) -> str:
    return MEASURE(space.sample(TrialChooser(trial)))[0]


def work(storage: str, trials: int) -> None:
    """Optimize a stored study in a process of its own; every one has the same seed."""
    optuna.load_study(study_name="plain", storage=storage, sampler=sampler()).optimize(train, n_trials=trials)


def params(study: optuna.Study) -> list[Mapping[str, object]]:
    return [trial.params for trial in study.trials]


def identities(study: optuna.Study, space: Space = SPACE) -> list[str]:
    return [network(optuna.trial.FixedTrial(trial.params), space) for trial in study.trials]  # type: ignore[arg-type]


@pytest.mark.parametrize("jobs", [2, 4])
def test_threads_draw_no_network_twice(jobs: int) -> None:
    study = study_with(sampler(seed=1))
    study.optimize(train, n_trials=16, n_jobs=jobs)
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 16
    assert len(set(identities(study))) == 16


def test_a_draw_counts_before_its_trial_has_suggested_anything() -> None:
    study = study_with(sampler(space_of(TINY)))
    trials = [study.ask() for _ in range(8)]
    for trial in trials:
        assert trial.relative_params  # drawn, and nothing of it stored yet
    assert all(not trial.params for trial in study.get_trials())
    assert len({network(trial, space_of(TINY)) for trial in trials}) == 8


def test_a_network_that_is_enqueued_is_not_drawn_before_its_turn() -> None:
    tiny = space_of(TINY)
    study = study_with(sampler(tiny))
    last = list(tiny.architectures())[3]
    asked = [study.ask() for _ in range(7)]
    study.enqueue_trial(dict(Draw.of(tiny, last).params))
    drawn = {network(trial, tiny) for trial in asked}
    assert len(drawn) == 7
    assert MEASURE(last)[0] not in drawn
    assert network(study.ask(), tiny) == MEASURE(last)[0]


def test_trials_that_ended_or_failed_leave_nothing_behind() -> None:
    mine = sampler()
    study = study_with(mine)
    study.optimize(train, n_trials=3)
    study.optimize(lambda trial: (len(network(trial)) * math.nan, 1.0), n_trials=2)
    assert mine._pending == {}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_space_that_is_used_up_stops_the_study_and_trains_nothing_again(
    jobs: int, caplog: pytest.LogCaptureFixture
) -> None:
    space, size, trained = space_of(TINY), 8, list[Architecture]()

    def objective(trial: optuna.Trial) -> tuple[float, float]:
        found = train(trial, space)
        trained.append(space.sample(TrialChooser(trial)))
        return found

    study = study_with(sampler(space))
    with caplog.at_level(logging.WARNING, "nas"):
        study.optimize(objective, n_trials=100, n_jobs=jobs)
    assert len(trained) == len(set(trained)) == size
    assert f"no new network within the limits is left after {size} different ones" in caplog.text
    states = [trial.state for trial in study.trials]
    assert states.count(TrialState.COMPLETE) == size
    assert 1 <= states.count(TrialState.PRUNED) == len(states) - size <= jobs


def test_limits_that_leave_few_networks_end_the_study_after_them() -> None:
    tiny = space_of(TINY)
    macs = sorted(MEASURE(architecture)[1]["macs"] for architecture in tiny.architectures())
    study = study_with(sampler(tiny, limits={"macs": macs[4]}))
    study.optimize(lambda trial: train(trial, tiny), n_trials=20)
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    assert sorted(trial.values[1] for trial in complete) == macs[:5]


def test_an_ask_and_tell_program_is_told_by_an_exception() -> None:
    tiny = space_of(TINY)
    study = study_with(sampler(tiny))
    for _ in range(8):
        trial = study.ask()
        study.tell(trial, train(trial, tiny))
    with pytest.raises(ExhaustedError, match="no new network within the limits is left after 8 different ones"):
        train(study.ask(), tiny)


@pytest.mark.slow
def test_a_study_that_is_loaded_again_goes_on_as_an_unbroken_one(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(study_name="plain", storage=storage, directions=["maximize", "minimize"])
    for _ in range(3):
        study = optuna.load_study(study_name="plain", storage=storage, sampler=sampler(seed=5))
        study.optimize(train, n_trials=4)
    unbroken = study_with(sampler(seed=5))
    unbroken.optimize(train, n_trials=12)
    assert params(study) == params(unbroken)
    assert len(set(identities(study))) == 12


def test_a_draw_that_another_process_makes_meanwhile_is_made_again(tmp_path: Path) -> None:
    """The other process draws between our look at the study and our own draw."""
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(study_name="plain", storage=storage, directions=["maximize", "minimize"])
    ours, theirs = (
        optuna.load_study(study_name="plain", storage=storage, sampler=sampler(seed=seed)) for seed in (0, 1)
    )
    mine = ours.sampler
    assert isinstance(mine, KnownCostSampler)
    suggest, seen = mine._optimizer.suggest, []

    def late(history: TrialHistory, generator: random.Random) -> Network:
        if not seen:
            seen.append(theirs.ask())
            assert seen[0].relative_params  # drawn, and nothing of it suggested yet
            same = mine._optimizer.networks.from_params(seen[0].relative_params)
            assert same is not None
            return same
        return suggest(history, generator)

    mine._optimizer.suggest = late  # type: ignore[method-assign]
    assert network(ours.ask()) != network(seen[0])
    assert len(seen) == 1


@pytest.mark.slow
def test_processes_draw_no_network_twice(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(study_name="plain", storage=storage, directions=["maximize", "minimize"])
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(storage, 6)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    study = optuna.load_study(study_name="plain", storage=storage)
    assert len(set(identities(study))) == len(study.trials) == 18


@pytest.mark.parametrize(
    "copied", [lambda mine: pickle.loads(pickle.dumps(mine)), copy.deepcopy], ids=["pickle", "copy"]
)
def test_a_copy_draws_what_the_original_would(copied: object) -> None:
    whole, halves = study_with(sampler(seed=3)), study_with(sampler(seed=3))
    whole.optimize(train, n_trials=8)
    halves.optimize(train, n_trials=5)
    halves.sampler = copied(halves.sampler)  # type: ignore[operator]
    halves.optimize(train, n_trials=3)
    assert params(whole) == params(halves)


def test_values_on_a_logarithmic_axis_are_raw() -> None:
    """A raw loss counts with its place on the logarithmic axis."""

    def loss(trial: optuna.Trial) -> tuple[float, float]:
        accuracy, macs = train(trial)
        return 10 ** (-2 * accuracy), macs

    study = study_with(sampler(trained=LOSS, seed=2), LOSS)
    study.optimize(loss, n_trials=6)
    drawn = study.sampler
    assert isinstance(drawn, KnownCostSampler)
    logs = [math.log10(trial.values[0]) for trial in study.trials]
    low, high = math.log10(LOSS.best), math.log10(LOSS.worst)
    assert drawn._history(study, None).losses == pytest.approx([(log - low) / (high - low) for log in logs])


def test_a_logarithm_on_a_logarithmic_axis_is_refused_in_one_line() -> None:
    study = study_with(sampler(trained=LOSS), LOSS)
    with pytest.raises(
        ValueError, match=r"a raw value on a logarithmic axis must be positive, got loss=-0.5 in trial 0"
    ):
        study.optimize(lambda trial: (-0.5, train(trial)[1]), n_trials=3)


def test_a_study_with_other_objectives_is_refused() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler())
    with pytest.raises(ValueError, match=r"directions must be those of the axes, \['maximize', 'minimize'\], got"):
        train(study.ask())
