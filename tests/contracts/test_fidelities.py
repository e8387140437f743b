"""Contract of every option of conf/fidelity, with any sampler."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from engine import AXES, DIED, EPOCHS, OBJECTIVES, TINY, TWO, FakeExecutor, Setting, counts, failing, snapshot, told

from nas.cli.app.compose import compose, conf_dir
from nas.config.budget import Budget
from nas.config.fidelity import FidelitySpec
from nas.fidelity.factory import Horizon, policy_of
from nas.fidelity.policy import Policy
from nas.objectives.values import objective_values
from nas.study.study import open_study

OPTIONS = sorted(path.stem for path in (conf_dir() / "fidelity").glob("*.yaml"))
TO_THE_END = ("full", "inherit")
PARTIAL = [option for option in OPTIONS if option not in TO_THE_END]
SMALLER = {"freeze_thaw": {"start": 4, "finished": 2}, "first_epoch": {"cohort": 4, "best": 2}}
TRIALS = 12


def spec_of(option: str) -> FidelitySpec:
    spec = compose("search", [f"fidelity={option}"]).fidelity
    assert isinstance(spec, FidelitySpec)
    return spec


def policy(option: str, epochs: int = EPOCHS, objectives: tuple[str, ...] = TWO) -> Policy:
    """Return the policy of an option, with cohorts that a test can fill."""
    spec = spec_of(option)
    values = partial(objective_values, [OBJECTIVES[name] for name in objectives])
    horizon = Horizon(epochs, [AXES[name] for name in objectives], values)
    return policy_of(FidelitySpec(spec.name, {**spec.options, **SMALLER.get(option, {})}), horizon)


def setting(option: str, sampler: str = "random", trials: int = TRIALS) -> Setting:
    return Setting(sampler=sampler, seed=2, budget=Budget(trials=trials), policy=policy(option))


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_is_named_like_its_file(option: str) -> None:
    assert spec_of(option).name == option


@pytest.mark.few(6)
@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("option", OPTIONS)
def test_a_search_leaves_nothing_undecided_and_completes_only_what_was_trained_in_full(
    tmp_path: Path, option: str, slots: int
) -> None:
    assert setting(option).run(tmp_path, FakeExecutor(slots)) == "budget"
    complete, pruned, failed, running = counts(tmp_path)
    assert (complete + pruned, failed, running) == (TRIALS, 0, 0)
    assert complete >= 1
    for record in open_study(tmp_path).records():
        skipped = record.descent.skips if record.descent else 0
        assert (skipped + len(record.curve) == EPOCHS) == (record.state == "complete")
        assert len(record.curve) >= 1


@pytest.mark.parametrize("option", PARTIAL)
def test_some_are_trained_in_part_only(tmp_path: Path, option: str) -> None:
    setting(option).run(tmp_path)
    assert counts(tmp_path)[1] >= 3


@pytest.mark.few(3)
@pytest.mark.parametrize(
    ("option", "sampler"),
    [(option, "known_cost") for option in PARTIAL]
    + [("freeze_thaw", sampler) for sampler in ("random", "tpe", "nsga2", "nsga3")],
)
def test_a_search_whose_driver_is_killed_decides_as_an_unbroken_one(tmp_path: Path, option: str, sampler: str) -> None:
    moments = (2, 5, 9, 14)

    def keep(waits: int) -> None:
        if waits in moments:
            snapshot(tmp_path / "unbroken", tmp_path / str(waits))

    wanted = setting(option, sampler, trials=8)
    wanted.run(tmp_path / "unbroken", FakeExecutor(before_wait=keep, fails=failing((3, 1))))
    whole = told(tmp_path / "unbroken")
    for moment in moments:
        wanted.run(tmp_path / str(moment), FakeExecutor(fails=failing((3, 1))))
        assert told(tmp_path / str(moment)) == whole, f"resumed from wait {moment}"


@pytest.mark.few(2)
@pytest.mark.parametrize("option", PARTIAL)
def test_a_process_that_dies_between_rungs_changes_no_decision(tmp_path: Path, option: str) -> None:
    dying = failing((0, 1), (1, EPOCHS), (4, 2), failure=DIED, attempts=2)
    setting(option).run(tmp_path / "a", FakeExecutor(fails=dying))
    setting(option).run(tmp_path / "b")
    assert [row[1:] for row in told(tmp_path / "a")] == [row[1:] for row in told(tmp_path / "b")]


@pytest.mark.parametrize("option", OPTIONS)
def test_a_space_that_is_used_up_ends_the_search(tmp_path: Path, option: str) -> None:
    wanted = Setting(space=TINY, budget=Budget(trials=100), policy=policy(option), idle=20)
    assert wanted.run(tmp_path, FakeExecutor(2)) == "exhausted"
    complete, pruned, failed, running = counts(tmp_path)
    assert (complete + pruned, failed, running) == (8, 0, 0)


@pytest.mark.few(7)
@pytest.mark.parametrize("option", PARTIAL)
@pytest.mark.parametrize("sampler", ["tpe", "tpe_multivariate", "nsga2", "nsga3", "gp"])
def test_optunas_samplers_go_with_every_policy(tmp_path: Path, option: str, sampler: str) -> None:
    setting(option, sampler, trials=13).run(tmp_path)  # Optuna's first ten trials are drawn at random
    complete, pruned, failed, running = counts(tmp_path)
    assert (complete + pruned, failed, running) == (13, 0, 0)
    assert complete >= 1
    assert pruned >= 1


@pytest.mark.few(4)
@pytest.mark.parametrize("option", PARTIAL)
@pytest.mark.parametrize("objectives", [("val_accuracy",), ("val_accuracy", "macs", "params")], ids=len)
def test_it_takes_any_number_of_costs(tmp_path: Path, option: str, objectives: tuple[str, ...]) -> None:
    wanted = Setting(objectives=objectives, budget=Budget(trials=8), policy=policy(option, objectives=objectives))
    assert wanted.run(tmp_path) == "budget"
    assert sum(counts(tmp_path)[:2]) == 8
