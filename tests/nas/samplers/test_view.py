"""What the sampler sees: rejected, failed and running trials as they should look, values on their axes' scale."""

from __future__ import annotations

import math

import optuna
import pytest
from engine import AXES, NAN, ONE, SAMPLERS, SMALL, TINY, TWO, begin, candidate, end, row, space_of, view_of
from optuna.trial import TrialState

from nas.samplers.base import ArchitectureSampler, Choose
from nas.samplers.imputation import DEVIATION, SECONDS
from nas.samplers.view import WORST_SCALED, View, ask_seed
from nas.study.parameters import ParameterNotes, TrialChooser
from nas.study.training_state import TrainingState
from nas.study.trial import Expected, Record, Repeat, State
from search_space.space import Space

AXIS = [AXES[name] for name in TWO]


@pytest.fixture
def space() -> Space:
    return space_of(SMALL)


def states(view: View) -> list[TrialState]:
    return [trial.state for trial in view.study.get_trials()]


def test_an_ask_carries_what_was_drawn(space: Space) -> None:
    ask = view_of(space).ask(5)
    assert ask.number == 5
    assert space.contains(ask.architecture)
    assert set(ask.params) == set(ask.distributions)
    assert ask.params.keys() >= {"stem.width", "stage0.depth", "stage0.reduction"}
    again = ParameterNotes(space.assignments(ask.architecture))
    assert space.sample(again) == ask.architecture
    assert again.params.items() <= dict(ask.params).items()


def test_a_whole_architecture_is_drawn_once_with_the_parameters_of_its_choices(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = View(space, AXIS, lambda seed: ArchitectureSampler(space, drawing(space), seed), seed=1, worst=False)
    sampled: list[type] = []
    sample = Space.sample
    plain = optuna.create_study()
    for number in range(20):
        with monkeypatch.context() as patch:
            patch.setattr(Space, "sample", lambda self, chooser: sampled.append(type(chooser)) or sample(self, chooser))
            ask = view.ask(number)
        plain.enqueue_trial(dict(ask.params))
        trial = plain.ask()
        assert space.sample(TrialChooser(trial)) == ask.architecture
        assert (trial.params, trial.distributions) == (ask.params, ask.distributions)
    assert sampled.count(ParameterNotes) == 20
    assert TrialChooser not in sampled


def drawing(space: Space) -> Choose:
    return lambda study, trial, generator: space.draw(generator)


def test_an_accepted_ask_runs_until_it_is_told_by_its_trials_number(space: Space) -> None:
    view = view_of(space)
    asks = [view.ask(number) for number in range(4)]
    for ask, number in zip(asks, (7, 3, 9, 1), strict=True):
        begin(view, number, ask.number, {"max_macs": -5.0})
    assert states(view) == [TrialState.RUNNING] * 4
    end(view, 3, {"val_accuracy": 0.75, "macs": 1e4})
    end(view, 7)
    end(view, 9, pruned=True)
    assert states(view) == [TrialState.FAIL, TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING]
    told = view.study.get_trials()[1]
    assert told.values == [0.75, 4.0]  # the logarithm of the MACs
    assert told.constraints == {"max_macs": -5.0}


def test_what_is_expected_of_a_trial_is_seen_as_if_it_were_complete_until_it_is(space: Space) -> None:
    view = view_of(space)
    for number in range(3):
        begin(view, number, view.ask(number).number)
    end(view, 2, pruned=True)
    outlook = Expected({"val_accuracy": 0.5, "macs": 1e4}, 0.02, 12.0)
    view.impute({1: outlook, 2: outlook})
    assert states(view) == [TrialState.RUNNING, TrialState.COMPLETE, TrialState.COMPLETE]
    seen = view.study.get_trials(states=[TrialState.COMPLETE])
    assert [trial.values for trial in seen] == [[0.5, 4.0]] * 2
    assert seen[0].user_attrs == {DEVIATION: 0.02, SECONDS: 12.0}
    end(view, 1, {"val_accuracy": 0.6, "macs": 1e4}, rows=(row(1, seconds=15.0),))
    view.impute({2: outlook})
    assert view.study.get_trials()[1].values == [0.6, 4.0]
    assert view.study.get_trials()[1].user_attrs == {SECONDS: 15.0}
    view.impute({})
    assert states(view) == [TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED]


def test_a_repeat_leaves_nothing_imputed_in_its_trial(space: Space) -> None:
    view, values = view_of(space), {"val_accuracy": 0.6, "macs": 1e4}
    begin(view, 0, view.ask(0).number)
    view.impute({0: Expected({"val_accuracy": 0.5, "macs": 1e4}, 0.02, 12.0)})
    end(view, 0, values)
    done = Record(0, State.COMPLETE, candidate(0), (), TrainingState(), values, None)
    failed = done.with_repeat(Repeat(1, failure=NAN))
    view.follow(failed)
    assert view.study.get_trials()[0].values == [0.6, 4.0]
    view.follow(failed.with_repeat(Repeat(2, values={"val_accuracy": 0.8, "macs": 1e4})))
    repeated = view.study.get_trials()[0]
    assert (repeated.values, repeated.user_attrs) == ([pytest.approx(0.7), 4.0], {})


def test_a_rejected_ask_is_pruned_with_its_constraints(space: Space) -> None:
    view = view_of(space, "tpe")
    ask = view.ask(0)
    rejected = view.reject(ask, {"max_macs": 12.0, "max_params": -3.0})
    trial = view.study.get_trials()[0]
    assert (trial.state, trial.constraints) == (TrialState.PRUNED, {"max_macs": 12.0, "max_params": -3.0})
    assert (rejected.ask, rejected.params, rejected.distributions) == (0, trial.params, trial.distributions)
    assert rejected.constraints == trial.constraints


@pytest.mark.parametrize(
    ("objectives", "worst"),
    [(("val_accuracy", "macs"), [-WORST_SCALED, WORST_SCALED]), (("val_accuracy",), [-WORST_SCALED])],
)
def test_a_rejected_ask_is_worst_for_evolution(space: Space, objectives: tuple[str, ...], worst: list[float]) -> None:
    view = view_of(space, "nsga2", objectives=objectives)
    view.reject(view.ask(0), {"max_macs": 12.0})
    trial = view.study.get_trials()[0]
    assert (trial.state, trial.values, trial.constraints) == (TrialState.COMPLETE, worst, {"max_macs": 12.0})
    ends = [abs(AXES[name].scaled(end)) for name in objectives for end in (AXES[name].best, AXES[name].worst)]
    assert max(ends) < WORST_SCALED


def test_a_forgotten_ask_teaches_nothing(space: Space) -> None:
    view = view_of(space)
    view.forget(view.ask(0))
    assert states(view) == [TrialState.FAIL]


def test_every_ask_has_a_seed_of_its_own() -> None:
    seeds = {ask_seed(seed, number) for seed in range(5) for number in range(200)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert ask_seed(1, 2) == ask_seed(1, 2)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_neighbour_of_an_architecture_is_an_ask_like_any_other(space: Space, sampler: str) -> None:
    view = view_of(space, sampler)
    start = view.ask(0)
    begin(view, 0, 0)
    for number in range(1, 15):
        near = view.ask_near(number, start.architecture, steps=1 + number // 5)
        assert space.contains(near.architecture)
        assert near.number == number
        assert set(near.params) == set(near.distributions)
        notes = ParameterNotes(space.assignments(near.architecture))
        space.sample(notes)
        assert notes.params == dict(near.params)
        if number < 5:
            assert near.architecture != start.architecture
    again = view_of(space, sampler).ask_near(3, start.architecture, 1).architecture
    assert again == view_of(space, sampler).ask_near(3, start.architecture, 1).architecture


def test_where_there_is_no_neighbour_the_sampler_draws() -> None:
    view = view_of(space_of(ONE))
    only = view.ask(0).architecture
    assert view.ask_near(1, only, steps=3).architecture == only
    assert len(view.study.get_trials()) == 2


def test_what_can_be_chosen_at_a_path_never_changes(space: Space) -> None:
    for mapping in (SMALL, TINY):
        view = view_of(space_of(mapping))
        seen = {}
        for number in range(100):
            for path, distribution in view.ask(number).distributions.items():
                assert seen.setdefault(path, distribution) == distribution


def test_values_beyond_the_scale_of_an_axis_stay_finite(space: Space) -> None:
    view = view_of(space)
    begin(view, 0, view.ask(0).number)
    end(view, 0, {"val_accuracy": 0.1, "macs": 0.0})
    assert all(math.isfinite(value) for value in view.study.get_trials()[0].values)
