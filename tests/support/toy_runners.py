"""Runner that trains nothing; worker processes import this module by name, so it stays light."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from nas.jobs import Control, Epoch, Job, Outcome


def toy_row(epoch: int) -> Epoch:
    return Epoch(epoch, 1.0 / epoch, 2.0 / epoch, 0.5, 0.5, 0.25)


@dataclass(frozen=True)
class ToyRunner:
    """Runner that ends an epoch every `pause` seconds, and acts as the architecture says in epoch `at`."""

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
    """Do nothing."""


def fail(job: Job) -> None:
    raise LookupError("no such\n  thing")


def leave(job: Job) -> None:
    os._exit(7)


def kill(job: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang(job: Job) -> None:
    time.sleep(600)


def tell(job: Job) -> None:
    """Print facts of the process to both of its outputs, and from below Python."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    # A line in one write: the processes of a job share its log, and an unbuffered print writes a line in pieces.
    sys.stdout.write(f"device {os.environ.get('CUDA_VISIBLE_DEVICES')} deaf {signal.SIGINT in blocked}\n")
    print("to standard error", file=sys.stderr)
    os.write(1, b"from below Python\n")
    print("pid", os.getpid(), flush=True)


def heed(job: Job) -> None:
    """Wait for `let_go`, so that a test can act before the end of the epoch."""
    while not (job.folder / GO).exists():
        time.sleep(0.01)


def let_go(job: Job) -> None:
    """Let a job with the action `heed` go on; called by the test."""
    (job.folder / GO).touch()


def litter(job: Job) -> None:
    """Leave 8 MiB in a reference cycle, and print the process' resources."""
    knot: list[object] = [bytearray(2**23)]
    knot.append(knot)
    resident = int(Path("/proc/self/status").read_text(encoding="ascii").split("VmRSS:")[1].split()[0])
    print("held", os.getpid(), len(os.listdir("/proc/self/fd")), resident)


def dawdle(job: Job) -> None:
    """Take half a second in the first job of a process, as libraries do."""
    time.sleep(0.0 if DAWDLED else 0.5)
    DAWDLED.append(job.trial)
    tell(job)


GO = "go"
DAWDLED: list[int] = []
ACTIONS = {f.__name__: f for f in (nothing, fail, leave, kill, hang, tell, heed, litter, dawdle)}
