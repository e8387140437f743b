"""Optuna's samplers with options and a seed, and genetic ones whose parents depend on the trials alone."""

from __future__ import annotations

import optuna
import pytest
from engine import SMALL, space_of
from optuna.distributions import IntDistribution
from optuna.samplers import NSGAIISampler, TPESampler
from optuna.trial import create_trial

from nas.config.sampler import SamplerSpec
from nas.samplers.optuna_samplers import StatelessParents, optuna_sampler
from nas.study.parameters import TrialChooser


def test_a_sampler_has_its_options_and_its_seed() -> None:
    make = optuna_sampler("TPESampler", {"n_startup_trials": 3})
    sampler = make(5)
    assert type(sampler) is TPESampler
    assert sampler._n_startup_trials == 3
    assert make(5) is not make(5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("TPSampler", {}, "sampler.optuna_class must be a sampler of optuna.samplers, got 'TPSampler'"),
        ("nsgaii", {}, "sampler.optuna_class must be a sampler"),
        ("TPESampler", {"startup": 3}, r"TPESampler takes \[.*'n_startup_trials'.*\], got \['startup'\]"),
        ("GridSampler", {}, "GridSampler takes"),
    ],
)
def test_what_optuna_does_not_have_is_refused(name: str, options: dict[str, object], message: str) -> None:
    if name == "GridSampler":
        options = {"grid": {}}
    with pytest.raises(ValueError, match=message):
        optuna_sampler(name, options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optuna_class": "a.b"}, "sampler.optuna_class must be the name of a class, got 'a.b'"),
        ({"rejected_as": "failed"}, "sampler.rejected_as must be one of pruned, worst, got 'failed'"),
        ({"options": {"seed": 3}}, "sampler.options must not set seed"),
        ({"module": "mine"}, "a sampler must have either optuna_class or module, got 'TPESampler' and 'mine'"),
        ({"optuna_class": None}, "a sampler must have either optuna_class or module, got None and None"),
    ],
)
def test_an_impossible_spec_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SamplerSpec(**{"name": "x", "optuna_class": "TPESampler", **changes})


def test_parents_do_not_depend_on_when_they_are_asked_for() -> None:
    """Optuna's own sampler gives them in another order the second time, from its cache in the study."""
    study = optuna.create_study(directions=["minimize", "maximize"])
    for number in range(40):
        attrs = {"NSGAIISampler:generation": number // 10}
        values = [float(number * 7 % 11), float(number * 5 % 13)]
        study.add_trial(
            create_trial(
                params={"x": number}, distributions={"x": IntDistribution(0, 99)}, values=values, system_attrs=attrs
            )
        )
    sampler = optuna_sampler("NSGAIISampler", {"population_size": 10})(1)
    assert isinstance(sampler, StatelessParents)
    assert isinstance(sampler, NSGAIISampler)
    first = [trial.number for trial in sampler.get_parent_population(study, 4)]
    later = [
        trial.number
        for trial in optuna_sampler("NSGAIISampler", {"population_size": 10})(2).get_parent_population(study, 4)
    ]
    assert len(first) == 10
    assert first == later == sorted(first)
    theirs = NSGAIISampler(population_size=10, seed=0)
    assert sorted(trial.number for trial in theirs.get_parent_population(study, 4)) == first
    assert sampler.get_parent_population(study, 0) == []


def test_choices_become_parameters_that_keep_their_order() -> None:
    trial = optuna.create_study().ask()
    chooser = TrialChooser(trial)
    assert chooser.integer("even", (4, 8, 12)) in {4, 8, 12}
    assert chooser.integer("odd", (1, 2, 4)) in {1, 2, 4}
    assert chooser.option("word", ("none", 0.25, 1)) in {"none", 0.25, 1}
    assert trial.distributions == {
        "even": IntDistribution(4, 12, step=4),
        "odd": IntDistribution(0, 2),
        "word": optuna.distributions.CategoricalDistribution(("none", 0.25, 1)),
    }


def test_a_small_space_reaches_every_option() -> None:
    space = space_of(SMALL)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [space.sample(TrialChooser(study.ask())) for _ in range(150)]
    widths = {branch.width for a in drawn for s in a.stages for b in s.blocks for branch in b.branches}
    assert widths == {4, 8, 16}
    assert {architecture.stem.width for architecture in drawn} == {4, 8, 12, 16}
