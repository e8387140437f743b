"""Regularized evolution and stratified draws, and the options that our own samplers refuse."""

from __future__ import annotations

import math
import random
import re
from typing import Any

import numpy as np
import optuna
import pytest
from engine import AXES, SMALL, TWO, begin, end, space_of, view_of

from nas.config.sampler import SamplerSpec
from nas.objectives.costs import built_in_costs
from nas.objectives.limits import Limits
from nas.samplers.factory import Domain, sampler_factory
from nas.samplers.view import View
from nas.study.parameters import ParameterChooser
from search_space.architecture import Architecture
from search_space.space import Space

SPACE = space_of(SMALL)
DOMAIN = Domain(SPACE, [AXES[name] for name in TWO])


def drawn(view: View, count: int) -> list[Architecture]:
    return [view.ask(number).architecture for number in range(count)]


def test_stratified_costs_lie_evenly_on_the_logarithm_where_random_ones_crowd() -> None:
    low, high = math.log10(2344), math.log10(268570)  # the space's least and most MACs

    def unevenness(sampler: str) -> float:
        """Largest distance between the distribution of log MACs and the uniform one."""
        costs = [built_in_costs().of_architecture(a) for a in drawn(view_of(SPACE, sampler), 64)]
        logs = np.sort([math.log10(known["macs"]) for known in costs])
        return float(np.abs((logs - low) / (high - low) - (np.arange(64) + 0.5) / 64).max())

    assert unevenness("stratified") < 0.2 < unevenness("random")


def test_stratified_draws_keep_within_limits_where_they_can() -> None:
    domain = Domain(SPACE, DOMAIN.axes, Limits(max_macs=20_000))
    factory = sampler_factory(SamplerSpec("s", module="stratified", options={"draws": 16}), domain)
    view = View(SPACE, domain.axes, factory, seed=0, worst=False)
    costs = [built_in_costs().of_architecture(architecture)["macs"] for architecture in drawn(view, 30)]
    assert sum(macs <= 20_000 for macs in costs) >= 28


def told(study: optuna.Study, view: View, count: int) -> None:
    """Complete trials whose accuracy grows with the width of the stem."""
    for number in range(count):
        ask = view.ask(number)
        begin(view, number, ask.number)
        end(view, number, {"val_accuracy": 0.01 * ask.architecture.stem.width, "macs": 1e4})


def test_evolution_draws_mutants_of_the_newest_alone() -> None:
    factory = sampler_factory(SamplerSpec("e", module="evolution", options={"population": 4, "tournament": 4}), DOMAIN)
    view = View(SPACE, DOMAIN.axes, factory, seed=3, worst=False)
    told(view.study, view, 9)
    newest = [SPACE.sample(ParameterChooser(trial.params)) for trial in view.study.get_trials()[-4:]]
    best = max(newest, key=lambda architecture: architecture.stem.width).stem.width
    parents = [architecture for architecture in newest if architecture.stem.width == best]
    child = view.ask(99).architecture
    changes = [_changes(parent, child) for parent in parents]
    assert min(changes) == 1


def _changes(parent: Architecture, child: Architecture) -> int:
    """Return the number of choices that both made, and made differently."""
    ours, theirs = SPACE.assignments(parent), SPACE.assignments(child)
    differing = [path for path in ours if path in theirs and ours[path] != theirs[path]]
    return max(len(differing), 1) if ours != theirs else 0


def test_evolution_mutates_members_of_the_first_front_of_both_objectives(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 12
    options = {"population": size, "tournament": size}
    factory = sampler_factory(SamplerSpec("e", module="evolution", options=options), DOMAIN)
    view = View(SPACE, DOMAIN.axes, factory, seed=4, worst=False)
    points = np.array([(i % 4, 3 - i % 4 + i // 8) for i in range(size)])  # losses: two equal fronts, then one behind
    population = []
    for number, (error, macs) in enumerate(points.tolist()):
        ask = view.ask(number)
        begin(view, number, ask.number)
        end(view, number, {"val_accuracy": 1 - error / 10, "macs": 10.0 ** (3 + macs)})
        population.append(ask.architecture)
    dominated = [any((other <= point).all() and (other < point).any() for other in points) for point in points]
    parents: list[Architecture] = []
    mutate = Space.mutate

    def spy(space: Space, architecture: Architecture, generator: random.Random) -> Architecture:
        parents.append(architecture)
        return mutate(space, architecture, generator)

    monkeypatch.setattr(Space, "mutate", spy)
    for number in range(30):
        view.ask(100 + number)
    first_front = {a for a, beaten in zip(population, dominated, strict=True) if not beaten}
    assert len(first_front) == 8
    assert set(parents) <= first_front
    assert len(set(parents)) > 4


@pytest.mark.parametrize(
    ("module", "options", "message"),
    [
        ("evolution", {"tournament": 30}, "tournament must lie between 1 and population, got 30 and 20"),
        ("evolution", {"size": 3}, "evolution takes ['population', 'tournament'], got ['size']"),
        ("stratified", {"draws": 0}, "sampler.options.draws must be at least 1, got 0"),
        (
            "known_cost",
            {"speed": 3},
            "known_cost takes ['start', 'seconds_power', 'pool', 'changes'], got ['speed']",
        ),
        ("known_cost", {"start": 0}, "start must be at least 1, got 0"),
        ("revolution", {}, "sampler.module must be one of evolution,"),
    ],
)
def test_what_cannot_be_is_refused(module: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        sampler_factory(SamplerSpec("x", module=module, options=options), DOMAIN)
