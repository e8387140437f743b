"""Runners that train nothing; child processes import this module by name, so it stays light."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass

from nas.jobs import Control, Epoch, Job, Outcome


def toy_row(epoch: int) -> Epoch:
    return Epoch(epoch, 1.0 / epoch, 2.0 / epoch, 0.5, 0.5, 0.25)


@dataclass(frozen=True)
class ToyRunner:
    """Ends an epoch every `pause` seconds; `at` the epoch given in the architecture it does what that says."""

    pause: float = 0.0

    def __call__(self, job: Job, control: Control) -> Outcome:
        action, at = job.architecture.get("does", "nothing"), job.architecture.get("at", 1)
        rows = [toy_row(epoch) for epoch in range(1, job.from_epoch + 1)]
        for epoch in range(job.from_epoch + 1, job.to_epoch + 1):
            if epoch == at:
                ACTIONS[action](job)
            time.sleep(self.pause)
            rows.append(toy_row(epoch))
            control.epoch_done(rows[-1])
            if control.should_stop():
                break
        return Outcome(job, tuple(rows), None)


def nothing(job: Job) -> None:
    """Trains on."""


def fail(job: Job) -> None:
    raise LookupError("no such\n  thing")


def leave(job: Job) -> None:
    os._exit(7)


def kill(job: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang(job: Job) -> None:
    time.sleep(600)


def tell(job: Job) -> None:
    """Prints what the child is like, to both of its outputs and from below Python."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    print("device", os.environ.get("CUDA_VISIBLE_DEVICES"), "deaf", signal.SIGINT in blocked)
    print("to standard error", file=sys.stderr)
    os.write(1, b"from below Python\n")
    print("pid", os.getpid(), flush=True)


ACTIONS = {f.__name__: f for f in (nothing, fail, leave, kill, hang, tell)}
