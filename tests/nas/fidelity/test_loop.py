"""Fidelity policies in a plain Optuna study: ask, report, decide."""

from __future__ import annotations

import math
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
from engine import SMALL, TINY, space_of
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState

from nas.config.fidelity import FidelitySpec
from nas.fidelity.loop import FidelityLoop, Stretch, horizon_of
from nas.jobs import Epoch
from nas.objectives.pareto import Axis
from nas.objectives.requirements import exact_measure
from nas.samplers.known_cost.sampler import KnownCostSampler
from nas.samplers.known_cost.settings import Settings
from nas.study.parameters import TrialChooser
from search_space.architecture import Architecture
from search_space.choices import FirstChooser
from search_space.space import Space

EPOCHS = 9
ACCURACY = Axis("val_accuracy", "maximize", False, 1.0, 0.1)
MACS = Axis("macs", "minimize", True, 1e3, 1e6)
AXES = (ACCURACY, MACS)
MEASURE = exact_measure()
SPACE = space_of(SMALL)
POLICIES = {
    "full": {},
    "freeze_thaw": {"start": 4, "finished": 2},
    "moasha": {},
    "hyperband": {},
    "first_epoch": {"cohort": 4, "best": 2},
}
SAMPLERS = {
    "known_cost": lambda axes, space: KnownCostSampler.for_space(
        space, axes, settings=Settings(start=4, pool=150, changes=40), seed=1
    ),
    "tpe": lambda axes, space: TPESampler(seed=1),
    "random": lambda axes, space: RandomSampler(seed=1),
}


def sampler(name: str, axes: tuple[Axis, ...] = AXES, space: Space = SPACE) -> BaseSampler:
    return SAMPLERS[name](axes, space)


def epoch(architecture: Architecture, number: int) -> Epoch:
    """Train a network for an epoch, in a formula."""
    macs = MEASURE(architecture)[1]["macs"]
    top = 0.2 + 0.1 * math.log10(macs) + 0.01 * architecture.stem.width
    accuracy = top * (1 - 0.5**number)
    return Epoch(number, 2.3 * 0.7**number / top, 2.3 * 0.8**number / top, accuracy, accuracy, macs / 1e4)


def loop_over(study: optuna.Study, fidelity: str = "freeze_thaw", **changes: Any) -> FidelityLoop:
    space = changes.pop("space", SPACE)
    axes = changes.pop("axes", AXES)
    given = {"trials": 12, "spec": FidelitySpec(fidelity, POLICIES[fidelity]), **changes}
    given["fidelity"] = given.pop("spec")
    return FidelityLoop(study, lambda trial: space.sample(TrialChooser(trial)), horizon_of(axes, EPOCHS), **given)


def study_of(mine: BaseSampler | None = None, axes: tuple[Axis, ...] = AXES) -> optuna.Study:
    return optuna.create_study(directions=[axis.direction for axis in axes], sampler=mine or sampler("random"))


def train(loop: FidelityLoop, stretch: Stretch) -> None:
    for number in range(stretch.from_epoch + 1, stretch.to_epoch + 1):
        loop.report(stretch.trial, epoch(stretch.architecture, number))


def run(loop: FidelityLoop, stretches: int = 10_000) -> int:
    """Train until there is nothing to do; return the number of stretches."""
    done = 0
    while done < stretches and (stretch := loop.ask()) is not None:
        train(loop, stretch)
        done += 1
    return done


def outcome(study: optuna.Study) -> list[tuple[Any, ...]]:
    return [(t.params, t.state, t.values, len(t.user_attrs["curve"])) for t in study.trials]


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("fidelity", POLICIES)
def test_every_trial_is_trained_in_full_or_pruned(fidelity: str, name: str) -> None:
    study = study_of(sampler(name))
    run(loop_over(study, fidelity))
    states = Counter(trial.state for trial in study.trials)
    assert states[TrialState.COMPLETE] + states[TrialState.PRUNED] == len(study.trials) == 12
    assert states[TrialState.COMPLETE] >= 1
    assert (states[TrialState.PRUNED] > 0) == (fidelity != "full")
    for trial in study.trials:
        curve = trial.user_attrs["curve"]
        assert (len(curve) == EPOCHS) == (trial.state == TrialState.COMPLETE)
        if trial.state == TrialState.COMPLETE:
            assert trial.values == [curve[-1]["val_accuracy"], trial.user_attrs["costs"]["macs"]]
            assert trial.user_attrs["seconds"] == pytest.approx(sum(row["seconds"] for row in curve))


@pytest.mark.parametrize("stretches", [3, 7, 11])
def test_a_loop_that_is_made_again_goes_on_as_an_unbroken_one(stretches: int) -> None:
    storage = optuna.storages.InMemoryStorage()

    def opened() -> optuna.Study:
        return optuna.create_study(
            storage=storage,
            study_name="mine",
            directions=["maximize", "minimize"],
            sampler=sampler("known_cost"),
            load_if_exists=True,
        )

    run(loop_over(opened()), stretches)
    lost = loop_over(opened()).ask()  # its process dies before it reports anything
    assert lost is not None
    again, unbroken = opened(), study_of(sampler("known_cost"))
    run(loop_over(again))
    run(loop_over(unbroken))
    assert outcome(again) == outcome(unbroken)


def test_a_loop_over_a_loaded_study_ends_what_another_process_began(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    optuna.create_study(study_name="mine", storage=storage, directions=["maximize", "minimize"])
    for stretches in (4, 100):
        study = optuna.load_study(study_name="mine", storage=storage, sampler=RandomSampler(seed=stretches))
        run(loop_over(study, "moasha", trials=6), stretches)
    assert len(study.trials) == 6
    assert all(trial.state.is_finished() for trial in study.trials)


def test_a_process_that_dies_before_it_told_the_result_loses_none() -> None:
    study = study_of()
    loop = loop_over(study, "full", trials=1)
    stretch = loop.ask()
    assert stretch is not None
    rows = [epoch(stretch.architecture, number).to_json() for number in range(1, EPOCHS + 1)]
    optuna.Trial(study, study.trials[0]._trial_id).set_user_attr("curve", rows)
    again = loop_over(study, "full", trials=1)
    assert again.ask() is None
    assert study.trials[0].values == [rows[-1]["val_accuracy"], study.trials[0].user_attrs["costs"]["macs"]]


def test_a_stretch_of_another_worker_is_not_given_twice() -> None:
    study = study_of(sampler("known_cost"))
    loop, work = loop_over(study), list[Stretch]()
    for turn in range(60):
        if (stretch := loop.ask()) is not None:
            assert stretch.trial not in {other.trial for other in work}
            work.append(stretch)
        if len(work) == 3 or stretch is None:
            if not work:
                break
            train(loop, work.pop(turn % len(work)))
    assert loop.ask() is None
    assert len({trial.user_attrs["network_id"] for trial in study.trials}) == len(study.trials) == 12


def test_threads_may_share_a_loop() -> None:
    study = study_of(sampler("known_cost"))
    loop, finished = loop_over(study, "moasha", trials=10), threading.Event()

    def work() -> None:
        while not finished.is_set():
            stretch = loop.ask()
            if stretch is not None:
                train(loop, stretch)
            elif all(trial.state.is_finished() for trial in study.trials):
                finished.set()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(trial.state.is_finished() for trial in study.trials)
    assert len({trial.user_attrs["network_id"] for trial in study.trials}) == len(study.trials) == 10


def test_the_sampler_is_told_what_is_expected_of_frozen_trials() -> None:
    """Frozen trials count with their predicted ends, so that they can be compared with the next draw."""
    mine = sampler("known_cost")
    assert isinstance(mine, KnownCostSampler)
    study = study_of(mine)
    loop = loop_over(study)
    run(loop, 8)
    frozen = {trial.number for trial in study.trials if trial.state == TrialState.RUNNING}
    assert frozen
    found = loop._prospects()
    assert found is not None
    assert set(found.frozen) == frozen
    assert all(value >= 0 for value in found.frozen.values())
    history = mine._history(study, None)
    assert {number for number, d in zip(history.numbers, history.deviations, strict=True) if d > 0} >= frozen


def test_one_objective_stands_in_optunas_intermediate_values() -> None:
    study = study_of(axes=(ACCURACY,))
    run(loop_over(study, "full", trials=2, axes=(ACCURACY,)))
    for trial in study.trials:
        curve = [row["val_accuracy"] for row in trial.user_attrs["curve"]]
        assert trial.intermediate_values == dict(enumerate(curve, 1))


def test_a_space_that_is_used_up_ends_the_loop() -> None:
    tiny = space_of(TINY)
    study = study_of(sampler("known_cost", space=tiny))
    run(loop_over(study, trials=100, space=tiny))
    ours = [trial for trial in study.trials if "architecture" in trial.user_attrs]
    assert len({trial.user_attrs["network_id"] for trial in ours}) == len(ours) == 8
    assert all(trial.state.is_finished() for trial in study.trials)


def test_a_training_that_fails_is_no_trouble_and_costs_no_budget() -> None:
    study = study_of()
    loop = loop_over(study, "full", trials=2)
    stretch = loop.ask()
    assert stretch is not None
    loop.report(stretch.trial, epoch(stretch.architecture, 1))
    loop.fail(stretch.trial)
    assert run(loop) == 2
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE", "COMPLETE"]


def test_mistakes_are_refused() -> None:
    study = study_of()
    loop = loop_over(study)
    with pytest.raises(ValueError, match="a trial must have been asked for before it is reported, trial 3 was not"):
        loop.report(3, epoch(SPACE.sample(FirstChooser()), 1))
    stretch = loop.ask()
    assert stretch is not None
    with pytest.raises(ValueError, match="epochs must be reported in order, got 2 after 0"):
        loop.report(stretch.trial, epoch(stretch.architecture, 2))
    with pytest.raises(ValueError, match=r"directions must be those of the axes, got \['minimize'\]"):
        loop_over(optuna.create_study())
    with pytest.raises(ValueError, match="trials must be at least 1, got 0"):
        loop_over(study, trials=0)
    for spec in (FidelitySpec("inherit"), FidelitySpec("full", repeats=1)):
        with pytest.raises(ValueError, match="it takes no repeats and not inherit"):
            loop_over(study, spec=spec)
