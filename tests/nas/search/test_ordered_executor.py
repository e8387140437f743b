"""Tests of searches whose networks do not depend on how fast each training is."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from engine import FakeExecutor, FakeHandle, Setting, told

from nas.cli.app.compose import compose
from nas.config.budget import Budget
from nas.jobs import Failure, Job, Outcome
from nas.search.build import _timeless
from nas.search.ordered_executor import OrderedExecutor

TRIALS = 14
SPEEDS = range(4)


class KilledError(Exception):
    """Stands for a SIGKILL of the driver."""


@dataclass
class UnevenExecutor(FakeExecutor):
    """Executor that passes jobs over at random, as devices and networks of uneven speed do."""

    speed: int = 0
    ends: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.speed)

    def _step(self, handle: FakeHandle) -> Outcome | None:
        if self.random.random() < 0.6:
            return None
        outcome = super()._step(handle)
        if outcome is not None:
            self.ends.append(outcome.job.trial)
        return outcome


@pytest.fixture
def setting() -> Setting:
    return Setting(sampler="tpe", budget=Budget(trials=TRIALS))


@pytest.mark.slow
def test_networks_depend_on_speed_unless_outcomes_are_ordered(tmp_path: Path, setting: Setting) -> None:
    """Search with three slots of four random speeds: the ends have another order each time, the study has not."""
    found: dict[str, list[object]] = {"ordered": [], "free": []}
    orders = set()
    for speed in SPEEDS:
        for name, wrap in (("ordered", OrderedExecutor), ("free", lambda inner: inner)):
            inner = UnevenExecutor(slots=3, speed=speed)
            setting.run(tmp_path / f"{name}{speed}", wrap(inner))  # type: ignore[operator]
            found[name].append(told(tmp_path / f"{name}{speed}"))
            orders.add(tuple(inner.ends))
    assert len(orders) > len(SPEEDS)
    assert all(study == found["ordered"][0] for study in found["ordered"])
    assert len(found["ordered"][0]) == TRIALS  # type: ignore[arg-type]
    assert any(study != found["free"][0] for study in found["free"])


def test_all_slots_are_used(tmp_path: Path, setting: Setting) -> None:
    inner = UnevenExecutor(slots=3)
    setting.run(tmp_path / "s", OrderedExecutor(inner))  # type: ignore[arg-type]
    assert (inner.most, inner.closed) == (3, True)


@pytest.mark.few(2)
@pytest.mark.parametrize("moment", [3, 8, 15, 26])
def test_a_search_that_was_killed_trains_the_same_networks(tmp_path: Path, setting: Setting, moment: int) -> None:
    setting.run(tmp_path / "unbroken", OrderedExecutor(UnevenExecutor(slots=2, speed=1)))  # type: ignore[arg-type]

    def kill(waits: int) -> None:
        if waits == moment:
            raise KilledError

    broken = UnevenExecutor(slots=2, speed=2, before_wait=kill)
    with pytest.raises(KilledError):
        setting.run(tmp_path / "broken", OrderedExecutor(broken))  # type: ignore[arg-type]
    setting.run(tmp_path / "broken", OrderedExecutor(UnevenExecutor(slots=2, speed=3)))  # type: ignore[arg-type]
    assert told(tmp_path / "broken") == told(tmp_path / "unbroken")


def test_a_trial_that_fails_is_retried_behind_those_that_run(tmp_path: Path, setting: Setting) -> None:
    def fails(job: Job, epoch: int) -> Failure | None:
        return Failure("died", "why") if (job.trial, job.attempt, epoch) == (4, 1, 2) else None  # type: ignore[arg-type]

    for speed in SPEEDS:
        inner = UnevenExecutor(slots=3, speed=speed, fails=fails)
        setting.run(tmp_path / str(speed), OrderedExecutor(inner))  # type: ignore[arg-type]
    assert all(told(tmp_path / str(speed)) == told(tmp_path / "0") for speed in SPEEDS)


def test_epochs_are_heard_with_their_outcome_and_in_order(tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    inner = FakeExecutor(slots=2)
    ordered = OrderedExecutor(inner)
    for trial, epochs in ((0, 3), (1, 1)):
        job = Job(trial, 1, {"trial": trial}, 0, 0, epochs, tmp_path / str(trial), None)
        ordered.submit(job, lambda told, at: heard.append((told.trial, at.epoch)))
    assert [outcome.job.trial for outcome in ordered.wait(5.0)] == [0]
    assert heard == [(0, 1), (0, 2), (0, 3)]
    assert inner.running == []
    assert [outcome.job.trial for outcome in ordered.wait(0.0)] == [1]
    assert heard[3:] == [(1, 1)]
    assert ordered.wait(0.0) == []


def test_the_setting_orders_outcomes_and_drops_measured_seconds() -> None:
    plain = compose("search", ["deterministic=true"])
    assert plain.sampler.options["seconds_power"] > 0
    assert _timeless(plain).sampler.options == {**plain.sampler.options, "seconds_power": 0.0}
    other = compose("search", ["sampler=random", "deterministic=true"])
    assert _timeless(other) == other
