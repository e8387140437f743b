"""Chaos: a search whose children and driver are killed again and again ends like a calm one, or this program fails.

A real search with real trainings, drawn at random with one seed. Every two seconds a random child gets SIGKILL, and
three times the driver does, which the same command starts again. At the end: exactly the budget, nothing running, no
process left, no network trained twice, and the same set of networks and learning curves as a calm run. Retries are
many, so that bad luck alone gives no trial up.

    python benchmarks/chaos.py [--trials 40] [--slots 4] [--every 2] [--epochs 6]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from nas.reader import open_for_reading
from nas.study import open_study

DRIVER_KILLS = 3
PATIENCE = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--every", type=float, default=2.0, help="seconds between two kills of a child")
    parser.add_argument("--epochs", type=int, default=6)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        outputs = Path(name)
        words = ["sampler=random", "seed=5", "tracking=none", "workers.retries=1000", f"outputs={outputs}"]
        words += [f"budget.trials={arguments.trials}", f"training.epochs={arguments.epochs}"]
        words += [f"workers.slots={arguments.slots}"]
        began = time.monotonic()
        kills = _storm([*words, "study=storm"], outputs / "storm", arguments.trials, arguments.every)
        stormy = time.monotonic() - began
        began = time.monotonic()
        if _start([*words, "study=calm"]).wait() != 0:
            raise SystemExit("the calm run failed")
        calm = time.monotonic() - began
        _check(outputs, arguments.trials)
    print(
        f"{arguments.trials} trials on {arguments.slots} slots: {kills['child']} children and {kills['driver']} drivers"
        f" killed in {stormy:.0f} s, calm {calm:.0f} s; all as in the calm run; load {os.getloadavg()[0]:.1f}"
    )


def _start(words: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "nas", "search", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def _storm(words: list[str], folder: Path, trials: int, every: float) -> Counter[str]:
    """Search under fire to the end; how many were killed."""
    generator, kills = random.Random(0), Counter[str]()
    leaders = []
    while True:
        driver = _start(words)
        leaders.append(driver.pid)
        moment = trials * (kills["driver"] + 1) // (DRIVER_KILLS + 1)  # trials after which this driver is killed
        while driver.poll() is None:
            time.sleep(every)
            children = _children(driver.pid)
            if children:
                os.kill(generator.choice(children), signal.SIGKILL)
                kills["child"] += 1
            if kills["driver"] < DRIVER_KILLS and _complete(folder) >= moment:
                time.sleep(generator.uniform(0.0, every))
                driver.kill()
                kills["driver"] += driver.wait() == -signal.SIGKILL
        if driver.returncode != -signal.SIGKILL:
            break
    if driver.returncode != 0:
        raise SystemExit(f"the last driver must end in order, got exit code {driver.returncode}")
    until = time.monotonic() + PATIENCE
    while orphans := [pid for leader in leaders for pid in _session(leader)]:
        if time.monotonic() > until:
            raise SystemExit(f"no process may outlive its driver, got {orphans}")
        time.sleep(0.1)
    return kills


def _complete(folder: Path) -> int:
    if not (folder / "study.db").exists():
        return 0
    return int(open_for_reading(folder).status_document()["trials"]["complete"])


def _stat(pid: int) -> list[str]:
    """State, parent, group and session of a process, empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _session(leader: int) -> list[int]:
    """Living processes of the session that `leader` started."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if (stat := _stat(pid)) and int(stat[3]) == leader and stat[0] != "Z"]


def _children(driver: int) -> list[int]:
    """Processes that run a job: children of the fork server, which is a child of the driver."""
    inside = _session(driver)
    parents = {pid: int(stat[1]) for pid in inside if (stat := _stat(pid))}
    return [pid for pid, parent in parents.items() if parents.get(parent) == driver]


def _came_of(folder: Path) -> list[tuple[Any, ...]]:
    """Every network with its learning curve, seconds apart, in order of the networks."""
    return sorted(
        (
            record.candidate.network_id,
            [(row.epoch, row.train_loss, row.val_loss, row.val_accuracy) for row in record.curve],
        )
        for record in open_study(folder).records()
        if record.state == "complete"
    )


def _check(outputs: Path, trials: int) -> None:
    status = open_for_reading(outputs / "storm").status_document()
    counts = status["trials"]
    found = (counts["complete"], counts["failed"], counts["running"], counts["frozen"], status["driven"])
    if found != (trials, 0, 0, 0, False):
        raise SystemExit(f"a search must end with exactly {trials} complete trials and nothing else, got {counts}")
    storm, calm = _came_of(outputs / "storm"), _came_of(outputs / "calm")
    if len({network for network, _ in storm}) != trials:
        raise SystemExit("no network may be trained twice, but one was")
    if storm != calm:
        raise SystemExit("networks and curves must be those of a calm run, they differ")
    print(f"retries by kind: {status['retries']}")


if __name__ == "__main__":
    main()
