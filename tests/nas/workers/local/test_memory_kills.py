"""Tests of the system's counters of out-of-memory kills, in files like its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from toy_runners import ToyRunner

from nas.jobs import Job
from nas.workers.local import executor as executor_module
from nas.workers.local.executor import LocalExecutor
from nas.workers.local.memory_kills import memory_kills

EVENTS = "low 0\nhigh 0\nmax 31\noom 4\noom_kill {}\noom_group_kill 0\n"


def group(root: Path, file: str, text: str) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)


@pytest.mark.parametrize(
    ("membership", "file"),
    [
        ("0::/user/run\n", "user/run/memory.events"),
        ("0::/../outside\n", "memory.events"),
        ("5:cpu,cpuacct:/x\n4:memory:/user\n", "memory/user/memory.oom_control"),
        ("4:memory:/docker/abc\n", "memory/memory.oom_control"),
    ],
)
def test_the_counter_of_the_own_group_is_read(tmp_path: Path, membership: str, file: str) -> None:
    root, own, machine = tmp_path / "groups", tmp_path / "cgroup", tmp_path / "vmstat"
    own.write_text(membership)
    machine.write_text("pgfault 9\noom_kill 7\n")
    assert memory_kills(own, root, machine) == 7
    group(root, file, EVENTS.format(2))
    assert memory_kills(own, root, machine) == 2


def test_no_counter_is_no_kill(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    assert memory_kills(nothing, nothing, nothing) == 0


@pytest.fixture
def killed_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[[int], object]]:
    kills = SimpleNamespace(count=5)
    monkeypatch.setattr(executor_module, "memory_kills", lambda: kills.count)
    executor = LocalExecutor(ToyRunner(), (None,))

    def run(more: int) -> object:
        executor.submit(Job(0, 1, {"does": "kill", "at": 2}, 0, 0, 3, tmp_path / "0"), lambda *_: None)
        kills.count += more
        while not (outcomes := executor.wait(1.0)):
            pass
        return outcomes[0].failure

    yield run
    executor.close()


def test_a_kill_while_the_counter_rises_is_out_of_memory(killed_with: Callable[[int], object]) -> None:
    failure = killed_with(1)
    assert getattr(failure, "kind", None) == "out_of_memory"
    assert getattr(failure, "message", None) == (
        "the process of trial 0 ended with signal 9, killed by the system as memory ran out"
    )
    assert getattr(killed_with(0), "kind", None) == "died"
