"""The whole program against SIGKILL and Ctrl-C: what is left goes on, and ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import session, wait_until

from nas.cli import main
from nas.study.study import open_study
from nas.study.summary import open_for_reading

PATIENCE = 120.0
EPOCHS = 5
WORDS = [
    "search",
    "sampler=random",
    "fidelity=full",
    "seed=3",
    f"training.epochs={EPOCHS}",
    "workers.slots=1",
    "data.train_fraction=0.5",
    "tracking=none",
]


def start(outputs: Path, *words: str) -> subprocess.Popen[bytes]:
    """`nas search` as the leader of a session of its own, as a terminal would start it."""
    command = [sys.executable, "-m", "nas", *WORDS, f"outputs={outputs}", "study=s", *words]
    with (outputs / "stderr.txt").open("ab") as log:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, start_new_session=True)


def checkpoints(outputs: Path) -> set[str]:
    return {str(path) for path in outputs.glob("s/trials/*/*.pt")}


def trained_on(process: subprocess.Popen[bytes], outputs: Path) -> None:
    """Wait for the first epoch that this very process has trained."""
    before = checkpoints(outputs)
    wait_until(lambda: process.poll() is not None or bool(checkpoints(outputs) - before), "no epoch was trained")
    assert process.poll() is None, (outputs / "stderr.txt").read_text()


def came_of(folder: Path) -> list[tuple[Any, ...]]:
    """What came of every trial; the seconds of an epoch are all that may differ between two runs."""
    rows = []
    for record in open_study(folder).records():
        curve = [{key: value for key, value in row.to_json().items() if key != "seconds"} for row in record.curve]
        rows.append((record.state, record.candidate.ask, record.candidate.network_id, curve, record.values))
    return rows


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """Let children heed Ctrl-C: what a shell runs in the background ignores it, and so would they."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before or signal.SIG_DFL)


@pytest.mark.parametrize("kills", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_killed_and_interrupted_it_ends_like_an_unbroken_search(tmp_path: Path, kills: int) -> None:
    generator = random.Random(20)
    folder = tmp_path / "s"
    trials = kills + 2  # each search that is killed trains about one
    budget = f"budget.trials={trials}"

    for kill in range(kills):
        process = start(tmp_path, budget)
        if kill == 0:  # at any moment from the making of the study to the first training
            wait_until((folder / "driver.lock").exists, "the driver has not started")
        else:
            trained_on(process, tmp_path)
        time.sleep(generator.uniform(0.0, 0.4))
        assert process.poll() is None, "the search ended before it could be killed: it needs more to do"
        process.kill()
        process.wait()
        wait_until(lambda: not session(process.pid), "a process outlived its driver")  # noqa: B023 - called at once

    # the fork server takes seconds to load its libraries, and Ctrl-C goes to it as well
    process = start(tmp_path, budget)
    wait_until(lambda: len(session(process.pid)) > 1, "the fork server has not started")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE) == 130, (tmp_path / "stderr.txt").read_text()
    wait_until(lambda: not session(process.pid), "a process outlived its driver")
    counts = open_for_reading(folder).status_document()["trials"]
    assert (
        counts["frozen"] <= 1
    )  # none where the last kill met the driver between two trials, and Ctrl-C came before the next
    assert counts["complete"] + counts["frozen"] <= trials

    process = start(tmp_path, budget)
    assert process.wait(PATIENCE) == 0, (tmp_path / "stderr.txt").read_text()
    wait_until(lambda: not session(process.pid), "a process outlived its driver")
    assert "Traceback" not in (tmp_path / "stderr.txt").read_text()
    status = open_for_reading(folder).status_document()
    assert status["trials"] == {
        "complete": trials,
        "pruned": 0,
        "failed": 0,
        "running": 0,
        "frozen": 0,
        "rejected": 0,
        "duplicates": 0,
    }
    assert not status["driven"]

    assert main([*WORDS, budget, f"outputs={tmp_path}", "study=unbroken"]) == 0
    assert came_of(folder) == came_of(tmp_path / "unbroken")
    assert [len(curve) for _, _, _, curve, _ in came_of(folder)] == [EPOCHS] * trials
