"""Contract of every option of conf/sampler."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from engine import AXES, ONE, SMALL, begin, end, propose, space_of, spec_of

from nas.cli.app.compose import conf_dir
from nas.objectives.limits import Limits
from nas.objectives.requirements import Requirements
from nas.samplers.factory import Domain, sampler_factory
from nas.samplers.view import View
from nas.search.proposer import Proposer
from nas.study.trial import Candidate
from search_space.architecture import Architecture

OPTIONS = sorted(path.stem for path in (conf_dir() / "sampler").glob("*.yaml"))
MOSTLY = [pytest.param(option, marks=pytest.mark.slow if option == "gp" else ()) for option in OPTIONS]
"""Options, of which Optuna's Gaussian process takes long for each ask."""
OBJECTIVES = [("val_accuracy",), ("val_accuracy", "macs"), ("val_accuracy", "macs", "params")]
FREE = Limits()


def view_of(option: str, objectives: tuple[str, ...], seed: int, space: Any = None, limits: Limits = FREE) -> View:
    spec = spec_of(option)
    axes = [AXES[name] for name in objectives]
    domain = Domain(space_of(space or SMALL), axes, limits)
    return View(domain.space, axes, sampler_factory(spec, domain), seed=seed, worst=spec.rejected_as == "worst")


def value(name: str, candidate: Candidate) -> float:
    """Return an objective that can be learnt: wide stems are accurate."""
    if name == "val_accuracy":
        return 0.2 + 0.04 * candidate.architecture["stem"]["width"]
    return float(candidate.costs[name])


def drive(
    view: View, trials: int, seed: int, objectives: tuple[str, ...], limits: Limits = FREE, mixed: bool = False
) -> list[Candidate]:
    """Search without training; `mixed` lets some trials fail, be pruned, or run on for ever."""
    proposer = Proposer(view, Requirements(limits), seed=seed, max_idle_asks=100)
    made = []
    for number in range(trials):
        candidate = propose(proposer)
        assert candidate is not None, f"nothing new after {number} trials"
        made.append(candidate)
        assert view._space.contains(Architecture.from_json(candidate.architecture))
        begin(view, number, candidate.ask, candidate.constraints)
        fate = number % 6 if mixed else 0
        if fate == 2:
            end(view, number)
        elif fate == 3:
            end(view, number, pruned=True)
        elif fate != 4:
            end(view, number, {name: value(name, candidate) for name in objectives})
    return made


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_is_named_like_its_file(option: str) -> None:
    assert spec_of(option).name == option


@pytest.mark.parametrize("objectives", OBJECTIVES, ids=len)
@pytest.mark.parametrize("option", MOSTLY)
def test_it_draws_new_networks_of_the_space_whatever_became_of_the_others(
    option: str, objectives: tuple[str, ...]
) -> None:
    made = drive(view_of(option, objectives, 1), 26, 1, objectives, mixed=True)
    assert len({candidate.network_id for candidate in made}) == 26


@pytest.mark.parametrize("option", MOSTLY)
def test_the_same_seed_draws_the_same_and_another_one_something_else(option: str) -> None:
    objectives = OBJECTIVES[1]
    limits = Limits(max_macs=15_000)
    first, again, *others = (
        drive(view_of(option, objectives, seed, limits=limits), 16, seed, objectives, limits) for seed in (5, 5, 6, 7)
    )
    assert first == again
    series = [[candidate.network_id for candidate in drawn] for drawn in (first, *others)]
    assert any(drawn != series[0] for drawn in series), "of a few networks two seeds may begin with the same, not three"


@pytest.mark.parametrize("option", MOSTLY)
def test_it_stays_within_limits_and_meets_the_same_ones_each_time(option: str) -> None:
    limits = Limits(max_params=800, max_macs=15_000)
    made = drive(view_of(option, OBJECTIVES[1], 2, limits=limits), 25, 2, OBJECTIVES[1], limits, mixed=True)
    assert all(c.costs["macs"] <= 15_000 and c.costs["params"] <= 800 for c in made)
    assert {tuple(c.constraints) for c in made} == {("max_params", "max_macs")}


@pytest.mark.parametrize("option", OPTIONS)
def test_a_space_of_one_network_is_no_trouble(option: str) -> None:
    view = view_of(option, OBJECTIVES[1], 0, ONE)
    proposer = Proposer(view, Requirements(FREE), seed=0, max_idle_asks=5)
    candidate = propose(proposer)
    assert candidate is not None
    begin(view, 0, candidate.ask)
    assert propose(proposer) is None
    end(view, 0, {name: value(name, candidate) for name in OBJECTIVES[1]})
    assert propose(proposer) is None


@pytest.mark.parametrize("option", MOSTLY)
def test_many_asks_may_run_at_once(option: str) -> None:
    view = view_of(option, OBJECTIVES[1], 3)
    proposer = Proposer(view, Requirements(FREE), seed=3, max_idle_asks=100)
    running: dict[int, Candidate] = {}
    for number in range(32):
        candidate = propose(proposer)
        assert candidate is not None
        begin(view, number, candidate.ask, candidate.constraints)
        running[number] = candidate
        if len(running) == 8:
            oldest = min(running)
            done = running.pop(oldest)
            end(view, oldest, {name: value(name, done) for name in OBJECTIVES[1]})
    assert len({candidate.network_id for candidate in running.values()}) == 7


@pytest.mark.few(4)
@pytest.mark.parametrize("option", [option for option in OPTIONS if option not in {"random", "stratified"}])
def test_it_learns_where_accuracy_is(option: str) -> None:
    """Wide stems alone are rewarded: a sampler that learns draws them more often than chance, a quarter of the time."""
    objectives = OBJECTIVES[0]
    made = drive(view_of(option, objectives, 4), 60, 4, objectives)
    late = [candidate.architecture["stem"]["width"] for candidate in made[30:]]
    assert late.count(16) > 12


def test_random_draws_do_not_hang_on_what_was_told() -> None:
    objectives = OBJECTIVES[1]
    plain = drive(view_of("random", objectives, 7), 12, 7, objectives)
    mixed = drive(view_of("random", objectives, 7), 12, 7, objectives, mixed=True)
    assert [replace(c, skipped={}) for c in plain] == [replace(c, skipped={}) for c in mixed]
