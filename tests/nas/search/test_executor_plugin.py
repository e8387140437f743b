"""Executors outside the project: one Python module, named in one YAML file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nas.cli import main
from nas.config.training import Recipe
from nas.config.workers import LOCAL, WORKERS, WorkersSpec
from nas.search.executors import EXECUTOR, allocation_of, check_executor, slot_bytes
from nas.study.study import open_study
from search_space.plugins import TRUSTED, PluginError

EXECUTOR_MODULE = '''
"""Executor that runs one job at a time in the driver's own process."""

from dataclasses import dataclass

from nas.jobs import Job

MADE = []
NOT_CALLABLE = 3


@dataclass
class Run:
    job: Job
    on_epoch: object
    stopped: bool = False

    def epoch_done(self, row):
        self.on_epoch(self.job, row)

    def should_stop(self):
        return self.stopped

    def stop_after_epoch(self):
        self.stopped = True

    def kill(self):
        self.stopped = True


class InProcess:
    slots = 1

    def __init__(self, runner, threads):
        self.runner, self.threads, self.waiting, self.jobs, self.closed = runner, threads, [], [], False

    def submit(self, job, on_epoch):
        self.waiting.append(Run(job, on_epoch))
        return self.waiting[-1]

    def wait(self, timeout):
        running, self.waiting = self.waiting, []
        self.jobs += [run.job for run in running]
        return [self.runner(run.job, run) for run in running]

    def close(self):
        self.closed = True


def make(runner, workers):
    MADE.append(InProcess(runner, workers.threads_per_slot))
    return MADE[-1]
'''
WORDS = ["search", "sampler=random", "tracking=none", "training.epochs=1", "budget.trials=2", "data.train_fraction=0.2"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write an executor and its YAML into a folder; the process forgets them afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv(TRUSTED, "")
    monkeypatch.delitem(sys.modules, "in_process", raising=False)
    own = tmp_path / "own"
    (own / "workers").mkdir(parents=True)
    (own / "in_process.py").write_text(EXECUTOR_MODULE, encoding="utf-8")
    (own / "workers" / "in_process.yaml").write_text("name: in_process.make\nthreads_per_slot: 2\n", encoding="utf-8")
    return own


def test_a_search_runs_on_an_executor_of_ones_own(folder: Path, tmp_path: Path) -> None:
    words = [*WORDS, f"outputs={tmp_path}", "study=s", f"--config-dir={folder}", "workers=in_process"]
    assert main(words) == 0
    records = open_study(tmp_path / "s").records()
    assert [record.state for record in records] == ["complete"] * 2
    (executor,) = sys.modules["in_process"].MADE
    assert [job.trial for job in executor.jobs] == [0, 1]
    assert (executor.threads, executor.closed) == (2, True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "in_process.NOT_CALLABLE",
            "workers.name must name something that can be called, got 'in_process",
        ),
        ("in_process.other", "workers.name must name something in its module, in_process has no 'other'"),
        ("no_such_module.make", "workers.name must be importable, got 'no_such_module.make'"),
        ("slurm", "workers.name must be one of local, ray, or a dotted path such as my_module.make, got 'slurm'"),
    ],
)
def test_an_executor_that_does_not_exist_is_refused_before_anything_is_written(
    folder: Path, tmp_path: Path, name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*WORDS, f"outputs={tmp_path}", "study=s", f"--config-dir={folder}", f"workers.name={name}"]
    assert main(words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_our_executors_are_those_that_the_configuration_allows() -> None:
    assert EXECUTOR.names() == sorted(WORKERS)
    for name in WORKERS:
        check_executor(WorkersSpec(name=name))
    with pytest.raises(PluginError, match=r"workers\.name must be importable, got 'no_such_module\.make'"):
        check_executor(WorkersSpec(name="no_such_module.make"))


def test_the_memory_of_unknown_machines_is_unlimited_and_devices_are_a_number() -> None:
    own = WorkersSpec(name="in_process.make", devices_per_trial=2)
    assert slot_bytes(own) == sys.maxsize
    assert slot_bytes(WorkersSpec(name=LOCAL, slots=1)) < sys.maxsize
    allocation = allocation_of(Recipe(), own)
    assert (allocation.least, allocation.most) == (2, 2)
