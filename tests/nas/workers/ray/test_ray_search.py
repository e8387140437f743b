"""Test of a search on a cluster of three machines, with the loss of one and a restart of the killed driver.

The machines see neither the driver's study nor its images: checkpoints and images go through Ray.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from processes import gone, stat

from nas.cli.app.compose import compose
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Curve, Epoch, Job
from nas.study.study import open_study
from nas.study.trial import Record

SUPPORT = Path(__file__).parents[3] / "support"
PATIENCE = 120.0
pytestmark = pytest.mark.xdist_group("ray")
EPOCHS, TRIALS = 6, 6
WORDS = (
    "sampler=random",
    "fidelity=full",
    "seed=5",
    f"budget.trials={TRIALS}",
    f"training.epochs={EPOCHS}",
    "data.train_fraction=0.6",
    "tracking=none",
)
Notes = list[list[Any]]


class Nodes:
    """The cluster: a process that starts and kills nodes."""

    def __init__(self, env: dict[str, str], number: int) -> None:
        command = [sys.executable, str(SUPPORT / "ray_nodes.py"), str(number)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, start_new_session=True
        )
        self.address = self._answer()

    def say(self, word: str) -> int:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return int(self._answer())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, "the cluster has not started"
        return line


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "t" * 64, "RAY_USAGE_STATS_ENABLED": "0"}
    plain = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    return {**plain, **token, "OMP_NUM_THREADS": "1", "NAS_CACHE_DIR": str(tmp_path / "here" / "cache")}


@pytest.fixture
def nodes(tmp_path: Path, env: dict[str, str]) -> Iterator[Nodes]:
    path = os.pathsep.join([str(SUPPORT / "blindfold"), env.get("PYTHONPATH", "")])
    hidden = {"PYTHONPATH": path, "NAS_TEST_HIDDEN": str(tmp_path / "here"), "NAS_CACHE_DIR": str(tmp_path / "there")}
    cluster = Nodes({**env, **hidden, "NAS_TEST_GATE": str(tmp_path / "gate")}, 3)
    yield cluster
    cluster.close()


def drive(folder: Path, env: dict[str, str], address: str) -> subprocess.Popen[bytes]:
    words = (*WORDS, "workers=ray", f"workers.address={address}", f"outputs={folder}", "study=s")
    command = [sys.executable, str(SUPPORT / "noting_driver.py"), str(folder / "notes"), *words]
    with (folder / "stderr.txt").open("ab") as log, (folder / "stdout.txt").open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=log, env=env, start_new_session=True)


def notes(folder: Path) -> Notes:
    try:
        lines = (folder / "notes").read_text().splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def await_notes(folder: Path, process: subprocess.Popen[bytes], enough: Callable[[Notes], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not enough(notes(folder)):
        assert process.poll() is None, (what, (folder / "stderr.txt").read_text())
        assert time.monotonic() < until, (what, notes(folder))
        time.sleep(0.02)


def descendants(root: int) -> set[int]:
    """Return the living processes under `root`."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    parents = {pid: int(fields[1]) for pid in pids if (fields := stat(pid)) and fields[0] != "Z"}
    found, layer = set(), {root}
    while layer:
        layer = {pid for pid, parent in parents.items() if parent in layer}
        found |= layer
    return found


def tasks(root: int) -> set[int]:
    """Return the processes under `root` that run jobs."""
    found = set()
    for pid in descendants(root):
        try:
            title = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if title.startswith(b"ray::supervise"):
            found |= {pid} | descendants(pid)
    return found


@pytest.mark.slow
def test_a_lost_machine_and_a_killed_driver_cost_an_epoch_each_and_no_more(
    tmp_path: Path, env: dict[str, str], nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here"
    folder.mkdir(exist_ok=True)
    process = drive(folder, env, nodes.address)

    def all_train(found: Notes) -> bool:
        return {0, 1, 2} <= {note[1] for note in found if note[0] == "epoch"}

    await_notes(folder, process, all_train, "three trainings at once")
    assert nodes.say("remove") == 2
    await_notes(folder, process, lambda found: any(note[2] == 2 for note in found if note[0] == "job"), "a retry")
    (tmp_path / "gate").touch()
    again = max(note[1] for note in notes(folder) if note[0] == "job" and note[2] == 2)

    def goes_on(found: Notes) -> bool:
        return any(note[:3] == ["epoch", again, 2] for note in found)

    await_notes(folder, process, goes_on, "the lost training goes on elsewhere")
    busy = tasks(nodes.process.pid)
    assert busy
    process.send_signal(signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 20.0
    while left := {pid for pid in busy if not gone(pid)}:
        assert time.monotonic() < until, f"{left} outlived the driver"
        time.sleep(0.1)

    before = notes(folder)
    assert all(note[0] != "end" for note in before), "the search ended before its driver could be killed"
    process = drive(folder, env, nodes.address)
    assert process.wait(PATIENCE) == 0, (folder / "stderr.txt").read_text()
    found = notes(folder)
    assert found[-1] == ["end", "budget"]

    epochs = [(note[1], note[3]) for note in found if note[0] == "epoch"]
    assert len(epochs) == len(set(epochs)), "an epoch that had reached the driver was trained again"
    reached: dict[int, int] = {}
    for kind, trial, attempt, epoch in found[:-1]:
        if kind == "job":
            assert epoch >= reached.get(trial, 0), f"attempt {attempt} of trial {trial} began behind its checkpoint"
        reached[trial] = epoch
    records = open_study(folder / "s").records()
    assert [record.state for record in records] == ["complete"] * TRIALS
    assert len({record.candidate.network_id for record in records}) == TRIALS
    assert [len(record.curve) for record in records] == [EPOCHS] * TRIALS
    assert (tmp_path / "there").exists(), "the machines have fetched the images"

    assert (folder / "stdout.txt").read_bytes() == b"", "a command's standard output is for its result alone"
    monkeypatch.setenv("NAS_CACHE_DIR", env["NAS_CACHE_DIR"])
    for trial in {note[1] for note in found if note[0] == "job" and note[2] > 1}:
        assert without_clock(records[trial].curve) == without_clock(unbroken(records[trial], tmp_path / str(trial)))


def unbroken(record: Record, folder: Path) -> Curve:
    """Return the curve of the same training without interruption, in this process."""
    config = compose("search", [*WORDS])
    runner = TrialRunner(config.data, config.training, threads=1)
    job = Job(0, 1, record.candidate.architecture, record.candidate.seed, 0, EPOCHS, folder)
    return runner(job, Unheard()).curve


class Unheard:
    """Control that ignores epochs and never stops a job."""

    def epoch_done(self, row: Epoch) -> None:
        pass

    def should_stop(self) -> bool:
        return False


def without_clock(curve: Curve) -> list[Epoch]:
    return [replace(row, seconds=0.0) for row in curve]
