"""Jobs answered from a table: simulated slots on a simulated clock, without a process or a file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nas.jobs import Curve, Epoch, Job, Outcome
from nas.tabular.simulation.clock import SimulatedClock

OnEpoch = Callable[[Job, Epoch], None]
Answer = Callable[[Mapping[str, object], int], Curve]


@final
@dataclass
class SimulatedHandle:
    """A job in a simulated slot.

    Attributes:
        job: the job.
        on_epoch: who is told of its epochs.
        curve: the whole learning curve of its architecture.
        epoch: epochs trained by now.
        due: when the next epoch ends, or the job where none is left.
        order: running number of the submission; of two jobs due at one moment the earlier comes first.
        stopping: whether it was asked to end after its epoch.
    """

    job: Job
    on_epoch: OnEpoch
    curve: Curve
    epoch: int
    due: float
    order: int
    stopping: bool = False

    def stop_after_epoch(self) -> None:
        """End after the current epoch."""
        self.stopping = True

    def kill(self) -> None:
        """Nothing: a job that nobody waits for costs nothing."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to train, or nothing more is wanted."""
        return self.epoch >= self.job.to_epoch or (self.stopping and self.epoch > self.job.from_epoch)


@final
class TableExecutor:
    """Answers jobs with recorded curves, each epoch at the moment at which it would have ended."""

    def __init__(self, answer: Answer, clock: SimulatedClock, slots: int) -> None:
        """Free slots.

        Args:
            answer: the whole learning curve of an architecture in JSON form, in its training or in a repeat of it.
            clock: moved on by the recorded seconds.
            slots: jobs at once, at least 1.
        """
        if slots < 1:
            raise ValueError(f"slots must be at least 1, got {slots}")
        self._answer = answer
        self._clock = clock
        self._slots = slots
        self._running: list[SimulatedHandle] = []
        self._reached: dict[Path, int] = {}
        self._orders = itertools.count()

    @property
    def slots(self) -> int:
        """Jobs that can run at once."""
        return self._slots

    def submit(self, job: Job, on_epoch: OnEpoch) -> SimulatedHandle:
        """Start `job` now on a free slot, of which there must be one.

        Raises:
            ValueError: the recorded curves end before the job does.
        """
        assert len(self._running) < self._slots, "a job needs a free slot"
        curve = self._answer(job.architecture, job.repeat)
        if job.to_epoch > len(curve):
            raise ValueError(f"a table must record every epoch of a job, got {len(curve)} of {job.to_epoch}")
        handle = SimulatedHandle(job, on_epoch, curve, job.from_epoch, self._clock.now(), next(self._orders))
        self._plan(handle)
        self._running.append(handle)
        return handle

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Move the clock on to the end of the next job, or by `timeout` seconds; the outcome of the job that ended."""
        until = self._clock.now() + timeout
        while self._running:
            handle = min(self._running, key=lambda running: (running.due, running.order))
            if handle.due > until:
                break
            self._clock.advance(handle.due)
            if self._step(handle):
                self._running.remove(handle)
                return [Outcome(handle.job, handle.curve[: handle.epoch], _checkpoint(handle.job.folder, handle.epoch))]
        if self._running:
            self._clock.advance(until)
        return []

    def latest(self, folder: Path) -> tuple[Path, int] | None:
        """The checkpoint that a real training would have left in a trial's folder, and its epoch."""
        epoch = self._reached.get(folder)
        return None if epoch is None else (_checkpoint(folder, epoch), epoch)

    def close(self) -> None:
        """Forget what runs."""
        self._running.clear()

    def _step(self, handle: SimulatedHandle) -> bool:
        """End the epoch that is due; whether the job has ended."""
        if handle.epoch < handle.job.to_epoch:
            handle.epoch += 1
            self._reached[handle.job.folder] = handle.epoch
            handle.on_epoch(handle.job, handle.curve[handle.epoch - 1])
            self._plan(handle)
        return handle.ended

    def _plan(self, handle: SimulatedHandle) -> None:
        if not handle.ended:
            handle.due = self._clock.now() + handle.curve[handle.epoch].seconds


def _checkpoint(folder: Path, epoch: int) -> Path:
    return folder / f"epoch{epoch:03d}.pt"
