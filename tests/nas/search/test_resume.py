"""A search that is stopped or killed, and goes on as if nothing had happened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from engine import EPOCHS, SAMPLERS, SMALL, TINY, FakeExecutor, Setting, Watcher, counts, failing, snapshot, told

from nas.config.budget import Budget
from nas.jobs import Failure, Job
from nas.objectives.limits import Limits
from nas.search.driver import Search
from nas.study.study import Study, open_study
from nas.study.summary import open_for_reading


def stopping(setting: Setting, folder: Path, executor: FakeExecutor, when: int, **how: bool) -> Search:
    """A search that somebody stops during the wait of number `when`."""
    search = setting.search(folder, executor)

    def stop(waits: int) -> None:
        if waits == when:
            search.stop("interrupted", **how)

    executor.before_wait = stop
    return search


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize("at_once", [False, True])
def test_a_stopped_search_is_frozen_and_ends_like_an_unbroken_one(tmp_path: Path, at_once: bool, sampler: str) -> None:
    setting = Setting(sampler=sampler, budget=Budget(trials=4), observers=[Watcher()])
    executor = FakeExecutor()
    assert stopping(setting, tmp_path / "a", executor, 4, at_once=at_once).run() == "interrupted"
    frozen = open_study(tmp_path / "a").records()[-1]
    assert counts(tmp_path / "a") == (1, 0, 0, 1)
    assert (frozen.training.frozen, len(frozen.curve)) == (True, 2)
    assert open_for_reading(tmp_path / "a").status_document()["trials"]["frozen"] == 1
    resumed = FakeExecutor()
    assert setting.run(tmp_path / "a", resumed) == "budget"
    assert (resumed.jobs[0].trial, resumed.jobs[0].from_epoch, resumed.jobs[0].attempt) == (1, 2, 2)
    setting.run(tmp_path / "b")
    assert told(tmp_path / "a") == told(tmp_path / "b")


def test_a_stop_that_comes_while_a_job_is_on_its_way_reaches_it(tmp_path: Path) -> None:
    """A signal handler calls `stop` at any moment, the seconds in which the first process starts included."""
    executor = FakeExecutor()
    search = Setting().search(tmp_path, executor)
    submit = executor.submit

    def interrupted(job: Job, on_epoch: Callable[..., None]) -> object:
        handle = submit(job, on_epoch)
        search.stop("interrupted")
        return handle

    executor.submit = interrupted  # type: ignore[assignment,method-assign]  # a signal in the midst of it
    assert search.run() == "interrupted"
    assert executor.waits == 1
    assert counts(tmp_path) == (0, 0, 0, 1)


def test_a_stop_ends_a_long_series_of_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting = Setting(limits=Limits(max_params=1), idle=10**6)
    search = setting.search(tmp_path, FakeExecutor())
    proposer = search._parts.proposer
    examined = []

    def passed_over(*_: object) -> str:
        examined.append(1)
        if len(examined) == 7:
            search.stop("interrupted")
        return "rejected"

    monkeypatch.setattr(proposer, "_skip", passed_over)
    assert search.run() == "interrupted"
    assert len(examined) == 7
    assert open_for_reading(tmp_path).status_document()["trials"]["rejected"] == 7


def test_an_interrupt_counts_although_the_search_was_ending_anyway(tmp_path: Path) -> None:
    setting = Setting(space=TINY, budget=Budget(trials=20))
    search = stopping(setting, tmp_path, FakeExecutor(9), 1)
    assert search.run() == "interrupted"
    assert counts(tmp_path) == (0, 0, 0, 8)
    assert setting.run(tmp_path, FakeExecutor(9)) == "exhausted"
    assert counts(tmp_path) == (8, 0, 0, 0)


@pytest.mark.few(2)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_whose_driver_is_killed_goes_on_as_if_nothing_had_happened(tmp_path: Path, sampler: str) -> None:
    """What a killed driver leaves at some moments, resumed, ends like the unbroken search, rejected asks and all."""
    setting = Setting(
        SMALL,
        sampler,
        seed=3,
        budget=Budget(trials=14),
        limits=Limits(max_macs=15_000),
        objectives=("val_accuracy", "macs"),
    )
    moments = (1, 34)

    def keep(waits: int) -> None:
        if waits in moments:
            snapshot(tmp_path / "unbroken", tmp_path / str(waits))

    setting.run(tmp_path / "unbroken", FakeExecutor(before_wait=keep, fails=failing((2, 2), (5, 1))))
    whole = told(tmp_path / "unbroken")
    assert len(whole) == 16
    skipped = open_for_reading(tmp_path / "unbroken").status_document()["trials"]
    assert skipped["rejected"] > 0
    for moment in moments:
        folder = tmp_path / str(moment)
        assert counts(folder)[3] == 1
        assert setting.run(folder, FakeExecutor(fails=failing((2, 2), (5, 1)))) == "budget"
        assert told(folder) == whole
        assert open_for_reading(folder).status_document()["trials"] == skipped


def test_a_driver_killed_between_training_and_telling_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    setting = Setting(budget=Budget(trials=2))
    with monkeypatch.context() as patch:

        def killed(*_: object) -> None:
            raise Killed

        patch.setattr(Study, "tell", killed)
        with pytest.raises(Killed):
            setting.run(tmp_path / "a")
    executor = FakeExecutor()
    assert setting.run(tmp_path / "a", executor) == "budget"
    assert (executor.jobs[0].from_epoch, executor.jobs[0].to_epoch) == (EPOCHS, EPOCHS)
    setting.run(tmp_path / "b")
    assert told(tmp_path / "a") == told(tmp_path / "b")


def test_killed_again_and_again_nothing_is_counted_twice(tmp_path: Path) -> None:
    """Each driver is killed after two epochs: three attempts a trial at most, and never a retry lost for it."""

    class Killed(BaseException):
        pass

    def kill(waits: int) -> None:
        if waits == 2:
            raise Killed

    setting = Setting(budget=Budget(trials=4), retries=0)
    folder = tmp_path / "0"
    for run in range(12):
        executor = FakeExecutor(before_wait=kill)
        monkey = setting.search(folder, executor)
        monkey._wind_up = lambda: None  # type: ignore[method-assign]  # a killed process winds nothing up
        try:
            monkey.run()
        except Killed:
            snapshot(folder, tmp_path / str(run + 1))
            folder = tmp_path / str(run + 1)
        else:
            break
    setting.run(tmp_path / "unbroken")
    assert told(folder) == told(tmp_path / "unbroken")
    assert run >= 5


def test_a_training_in_halves_stays_one_after_a_restart(tmp_path: Path) -> None:
    full = Failure("out_of_memory", "CUDA out of memory")
    executor = FakeExecutor(fails=failing((0, 2), failure=full, attempts=1))
    setting = Setting(budget=Budget(trials=1))
    assert stopping(setting, tmp_path, executor, 2, at_once=True).run() == "interrupted"
    resumed = FakeExecutor()
    assert setting.run(tmp_path, resumed) == "budget"
    assert [(job.attempt, job.micro_batches) for job in resumed.jobs] == [(3, 2)]


def test_a_trial_that_goes_on_is_no_longer_shown_as_frozen(tmp_path: Path) -> None:
    setting = Setting(budget=Budget(trials=1))
    stopping(setting, tmp_path, FakeExecutor(), 0).run()
    assert open_study(tmp_path).records()[0].training.frozen is True
    seen = []
    again = FakeExecutor(before_wait=lambda _: seen.append(open_study(tmp_path).records()[0].training.frozen))
    setting.run(tmp_path, again)
    assert seen[0] is False
