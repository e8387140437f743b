"""Prior over choices: its density, its draws, its decay, and the samplers that take one."""

from __future__ import annotations

import math
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from engine import AXES, SMALL, TINY, TWO, space_of, spec_of

from nas.cli import main
from nas.cli.app.compose import compose
from nas.config.prior import PriorSpec
from nas.objectives.requirements import Requirements, exact_measure
from nas.samplers.factory import Domain, sampler_factory
from nas.samplers.known_cost.acquisition import TrialHistory
from nas.samplers.known_cost.optimizer import Optimizer
from nas.samplers.known_cost.sampler import problem_of
from nas.samplers.known_cost.settings import Settings
from nas.samplers.prior import Prior, prior_of
from nas.samplers.view import View
from nas.search.proposer import Proposer
from nas.study.parameters import TrialChooser
from search_space.architecture import Architecture

SPACE = space_of(SMALL)
TINY_SPACE = space_of(TINY)
DRAWS = 4000


def prior(choices: dict[str, Any], weight: float = 1.0, space: Any = SPACE) -> Prior:
    found = prior_of(PriorSpec(weight, choices), space)
    assert found is not None
    return found


def test_the_density_is_that_of_the_choices_over_a_uniform_one() -> None:
    """Of widths 4, 8, 12, 16, weights 3, 1, 1, 1 make shares of 1/2 and 1/6, over 1/4 without a prior."""
    mine = prior({"stem.width": {4: 3}})
    for number in range(200):
        architecture = SPACE.draw(random.Random(number))
        share = 1 / 2 if architecture.stem.width == 4 else 1 / 6
        assert mine.log_density(architecture) == pytest.approx(math.log(share * 4))


def test_a_choice_that_is_not_made_counts_for_nothing_and_one_that_is_made_twice_counts_twice() -> None:
    mine = prior({"*.pool.pool": {"max": 3}})
    expected = {"max": math.log(1.5), "avg": math.log(0.5)}
    found = Counter[int]()
    for number in range(200):
        architecture = SPACE.draw(random.Random(number))
        pools = [b.pool for block in architecture.stages[0].blocks for b in block.branches if b.pool and b.width]
        total = sum(expected[pool] for pool in pools)
        assert mine.log_density(architecture) == pytest.approx(total)
        found[len(pools)] += 1
    assert set(found) == {0, 1, 2}


def test_the_density_of_a_space_sums_to_one() -> None:
    """Every architecture of this space is one way to make every choice."""
    mine = prior({"*.width": {4: 5}, "*.k3.width": {8: 0.25}}, space=TINY_SPACE)
    every = list(TINY_SPACE.architectures())
    assert sum(math.exp(mine.log_density(architecture)) / len(every) for architecture in every) == pytest.approx(1.0)


def test_draws_have_the_shares_of_the_prior_at_first_and_uniform_ones_in_the_end() -> None:
    mine = prior({"stem.width": {4: 3, 16: 2}}, weight=2.0)
    for trainings, power in ((0, 1.0), (1, 1.0), (4, 0.5), (2_000_000, 0.0)):
        generator = random.Random(trainings)
        counts = Counter(mine.draw(generator, trainings).stem.width for _ in range(DRAWS))
        weights = {4: 3**power, 8: 1.0, 12: 1.0, 16: 2**power}
        for width, weight in weights.items():
            share = weight / sum(weights.values())
            assert abs(counts[width] / DRAWS - share) < 5 * math.sqrt(share * (1 - share) / DRAWS)


def test_draws_and_density_agree() -> None:
    mine = prior({"*.k1.width": {4: 4}, "stem.width": {8: 2}}, space=TINY_SPACE)
    generator = random.Random(0)
    counts = Counter(mine.draw(generator) for _ in range(DRAWS))
    for architecture in TINY_SPACE.architectures():
        share = math.exp(mine.log_density(architecture)) / 8
        assert abs(counts[architecture] / DRAWS - share) < 5 * math.sqrt(share * (1 - share) / DRAWS)


def test_the_exponent_is_the_weight_over_the_trainings() -> None:
    mine = prior({"stem.width": {4: 3}}, weight=10.0)
    assert [mine.exponent(n) for n in (0, 1, 5, 100)] == [10.0, 10.0, 2.0, 0.1]


def test_the_last_pattern_counts_and_options_may_be_written_as_text() -> None:
    late = prior({"*.width": {4: 9}, "stem.width": {"8": 3}})
    assert late.shares["stem.width"] == {4: 1 / 6, 8: 1 / 2, 12: 1 / 6, 16: 1 / 6}
    assert late.shares["stage0.block0.k1.width"][4] == 9 / 11
    assert "stage0.reduction" not in late.shares


def test_no_choice_or_no_weight_is_no_prior() -> None:
    assert prior_of(PriorSpec(), SPACE) is None
    assert prior_of(PriorSpec(0.0, {"stem.width": {4: 3}}), SPACE) is None


@pytest.mark.parametrize(
    ("choices", "law"),
    [
        ({"stage7.*": {4: 2}}, r"prior.choices must match choices of small, such as stem.width, .*; got 'stage7.\*'"),
        ({"stem.width": {5: 2}}, "stem.width of prior.choices offers 12, 16, 4, 8, got '5'"),
        ({"stem.width": {4: 0}}, "a weight of prior.choices at 'stem.width', 4 must be at least 1e-12, got 0"),
        ({"stem.width": {4: "x"}}, "a weight of prior.choices at 'stem.width', 4 must be a number, got 'x'"),
        ({"stem.width": {}}, r"prior.choices must have weights by option, got {} at 'stem.width'"),
        ({"stem.width": 3}, "prior.choices must have weights by option, got 3 at 'stem.width'"),
    ],
)
def test_mistakes_are_told_in_one_line(choices: dict[str, Any], law: str) -> None:
    with pytest.raises(ValueError, match=law) as told:
        prior(choices)
    assert "\n" not in str(told.value)


def test_a_weight_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"prior\.weight must be at least 0, got -1"):
        PriorSpec(-1)


def widths(sampler: str, weights: dict[str, Any], trials: int, seed: int = 0) -> list[int]:
    """Return the widths of the stems that a sampler draws, with a prior."""
    domain = Domain(SPACE, [AXES[name] for name in TWO], prior=prior(weights, 5.0) if weights else None)
    spec = spec_of(sampler)
    view = View(SPACE, domain.axes, sampler_factory(spec, domain), seed=seed, worst=False)
    drawn: list[Architecture] = [view.ask(number).architecture for number in range(trials)]
    return [architecture.stem.width for architecture in drawn]


@pytest.mark.parametrize("sampler", ["known_cost", "random", "evolution"])
def test_first_draws_come_from_the_prior(sampler: str) -> None:
    preferred = widths(sampler, {"stem.width": {16: 12}}, 40)
    assert preferred.count(16) > 23  # 12 of 15 expected, 10 of 40 without a prior
    assert widths(sampler, {"stem.width": {16: 12}}, 40) == preferred
    assert widths(sampler, {}, 40).count(16) < 20


def test_the_prior_counts_less_once_trials_are_complete() -> None:
    domain = Domain(SPACE, [AXES[name] for name in TWO], prior=prior({"stem.width": {16: 12}}, 1.0))
    study = optuna.create_study(directions=["maximize", "minimize"])
    for _ in range(200):
        study.add_trial(optuna.create_trial(values=[0.5, 3.0], params={}, distributions={}))
    drawn = []
    for seed in range(100):
        study.sampler = sampler_factory(spec_of("random"), domain)(seed)
        trial = study.ask()
        assert trial.relative_params
        draw = study.sampler.drawn(trial.number)  # type: ignore[attr-defined]  # it draws architectures
        drawn.append(draw.architecture.stem.width)
    assert drawn.count(16) < 40


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "stratified"])
def test_samplers_that_would_not_notice_are_refused(sampler: str) -> None:
    with pytest.raises(ValueError, match=rf"prior.choices goes with sampler=.*random.*, got {sampler}"):
        widths(sampler, {"stem.width": {16: 12}}, 1)


def test_a_command_takes_it_as_a_mapping_and_tells_a_mistake_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sampler=random", "prior.weight=3", "prior.choices={stage0.*.k3.width:{0:3,8:1},stem.stride:{2:4}}"]
    for command in ("search", "rehearse"):
        config = compose(command, [word.replace("prior.choices", "+prior.choices") for word in words])
        assert config.prior == PriorSpec(3.0, {"stage0.*.k3.width": {0: 3, 8: 1}, "stem.stride": {2: 4}})
    wrong = "prior.choices={stage9.*:{0:3}}"
    assert main(["search", f"outputs={tmp_path}", "sampler=random", "tracking=none", wrong]) == 2
    error = capsys.readouterr().err
    assert error.startswith("nas search: prior.choices must match choices of quick, such as stem.width, ")
    assert error.count("\n") == 1


def test_a_proposer_over_it_finds_every_network_in_the_end() -> None:
    """A prior prefers, and excludes nothing."""
    domain = Domain(TINY_SPACE, [AXES[name] for name in TWO], prior=prior({"*.width": {4: 50}}, space=TINY_SPACE))
    view = View(TINY_SPACE, domain.axes, sampler_factory(spec_of("random"), domain), seed=0, worst=False)
    proposer = Proposer(view, Requirements(), seed=0, max_idle_asks=300)
    found = {candidate.network_id for candidate in proposer.proposals() if candidate is not None}
    assert len(found) == 8


def late_widths(weight: float, preferred: int) -> list[int]:
    """Return the widths of the stems of late draws where a wide one is accurate."""
    axes = [AXES[name] for name in TWO]
    make = sampler_factory(
        spec_of("known_cost"), Domain(SPACE, axes, prior=prior({"stem.width": {preferred: 20}}, weight))
    )
    study = optuna.create_study(directions=[axis.direction for axis in axes])
    for number in range(40):
        study.sampler = make(number)
        trial = study.ask()
        architecture = SPACE.sample(TrialChooser(trial))
        macs = exact_measure()(architecture)[1]["macs"]
        study.tell(trial, [0.2 + 0.04 * architecture.stem.width, math.log10(macs)])
    return [trial.params["stem.width"] for trial in study.trials[20:]]


def test_known_cost_multiplies_its_acquisition_function_and_forgets_a_wrong_prior() -> None:
    assert late_widths(1e4, preferred=4).count(4) > 15
    assert late_widths(0.5, preferred=4).count(16) > 10


def test_the_factor_of_an_acquisition_value_is_the_density_to_the_power_that_counts_now() -> None:
    mine = prior({"stem.width": {16: 12}}, 8.0)
    problem = problem_of([AXES[name] for name in TWO], {"macs": "macs"}, {})
    optimizer = Optimizer(SPACE, exact_measure(), problem, Settings(), prior=mine)
    networks = [optimizer.networks.network(SPACE.draw(random.Random(number))) for number in range(20)]
    seen, none = np.array([0.5] * 4), np.zeros(4)
    history = TrialHistory(range(4), networks[:4], seen, none, seen, [], frozenset())
    logs = np.array([mine.log_density(network.architecture) for network in networks])
    np.testing.assert_allclose(optimizer._favour(networks, history), np.exp(8.0 / 4 * logs))
    plain = Optimizer(SPACE, exact_measure(), problem, Settings())
    np.testing.assert_array_equal(plain._favour(networks, history), np.ones(20))
