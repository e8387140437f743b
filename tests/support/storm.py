"""A search under fire: its children and its driver are killed again and again, and the same command goes on."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processes import children, session, wait_until

from nas.study.study import open_study
from nas.study.summary import open_for_reading


@dataclass(frozen=True)
class Storm:
    """A search, and what strikes it.

    Attributes:
        trials: the budget.
        slots: trainings at once.
        epochs: of each training.
        every: seconds between two kills of a random child, or more until there is another trained epoch.
        drivers: how often the driver is killed, spread over the budget.
        words: more overrides.
    """

    trials: int
    slots: int
    epochs: int
    every: float
    drivers: int
    words: tuple[str, ...] = ()

    def command(self, outputs: Path, study: str) -> list[str]:
        """The search. Retries are many, so that bad luck alone gives no trial up."""
        words = [
            "sampler=random",
            "fidelity=full",
            "seed=5",
            "tracking=none",
            "workers.retries=1000",
            f"outputs={outputs}",
        ]
        words += [f"budget.trials={self.trials}", f"training.epochs={self.epochs}", f"workers.slots={self.slots}"]
        return [sys.executable, "-m", "nas", "search", *words, *self.words, f"study={study}"]

    def start(self, outputs: Path, study: str) -> subprocess.Popen[bytes]:
        """Begin the search, or go on with it, as the leader of a session of its own."""
        with (outputs / f"{study}.txt").open("ab") as log:
            return subprocess.Popen(
                self.command(outputs, study), stdout=subprocess.DEVNULL, stderr=log, start_new_session=True
            )

    def rage(self, outputs: Path, study: str) -> Counter[str]:
        """Search under fire to the end, and see that no process outlives its driver; how many were killed."""
        generator, kills = random.Random(0), Counter[str]()
        while True:
            driver = self.start(outputs, study)
            self._strike(driver, outputs / study, kills, generator)
            wait_until(lambda: not session(driver.pid), "a process outlived its driver")  # noqa: B023 - called at once
            if driver.returncode != -signal.SIGKILL:
                assert driver.returncode == 0, (outputs / f"{study}.txt").read_text()
                return kills

    def _strike(
        self, driver: subprocess.Popen[bytes], folder: Path, kills: Counter[str], generator: random.Random
    ) -> None:
        """Kill children of one driver, and then it, once its share of the budget is done; or see its end."""
        moment = self.trials * (kills["driver"] + 1) // (self.drivers + 1)
        seen = checkpoints(folder)
        while driver.poll() is None:
            time.sleep(self.every)
            new, victims = checkpoints(folder) - seen, children(driver.pid)
            if new and victims:  # on a machine so busy that no epoch ends between two kills, nothing would ever end
                seen |= new
                os.kill(generator.choice(victims), signal.SIGKILL)
                kills["child"] += 1
            if kills["driver"] < self.drivers and complete(folder) >= moment:
                time.sleep(generator.uniform(0.0, self.every))
                driver.kill()
                kills["driver"] += driver.wait() == -signal.SIGKILL


def checkpoints(folder: Path) -> set[Path]:
    return set(folder.glob("trials/*/*.pt"))


def complete(folder: Path) -> int:
    """Trials of a study that are trained in full."""
    if not (folder / "study.db").exists():
        return 0
    return int(open_for_reading(folder).status_document()["trials"]["complete"])


def came_of(folder: Path) -> list[tuple[Any, ...]]:
    """Every network with its learning curve, in order of the networks; seconds are all that may differ."""
    return sorted(
        (
            record.candidate.network_id,
            [(row.epoch, row.train_loss, row.val_loss, row.val_accuracy) for row in record.curve],
        )
        for record in open_study(folder).records()
        if record.state == "complete"
    )
