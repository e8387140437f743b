"""Executor that reads learning curves from a table: simulated slots on a simulated clock."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nas.jobs import Curve, Epoch, Job, Outcome
from nas.tabular.simulation.clock import SimulatedClock

OnEpoch = Callable[[Job, Epoch], None]
CurveLookup = Callable[[Mapping[str, object], int], Curve]
"""Returns the learning curve of an architecture in JSON form, for a repeat."""


@final
@dataclass
class SimulatedHandle:
    """Job in a simulated slot.

    Attributes:
        job: the job.
        on_epoch: called at the end of each epoch.
        curve: full learning curve of its architecture.
        epoch: number of epochs trained so far.
        due: seconds on the clock at which the next epoch ends, or the job if none is left.
        order: number of the submission; of two jobs due at one moment the earlier ends first.
        stopping: True if the job is to end after its epoch.
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
        """Do nothing: a job costs nothing unless the driver waits for it."""

    @property
    def ended(self) -> bool:
        """True if no epoch is left, or the job was stopped after one."""
        return self.epoch >= self.job.to_epoch or (self.stopping and self.epoch > self.job.from_epoch)


@final
class TableExecutor:
    """Executor that ends each epoch of a job after its recorded seconds, without a process or a file."""

    def __init__(self, look_up: CurveLookup, clock: SimulatedClock, slots: int, job_seconds: float = 0.0) -> None:
        """Start with free slots.

        Args:
            look_up: finds the learning curve of a job.
            clock: advanced by the recorded seconds.
            slots: number of concurrent jobs, at least 1.
            job_seconds: seconds from the submission of a job to the start of its first epoch.
        """
        if slots < 1:
            raise ValueError(f"slots must be at least 1, got {slots}")
        self._look_up = look_up
        self._clock = clock
        self._slots = slots
        self._job_seconds = job_seconds
        self._running: list[SimulatedHandle] = []
        self._reached: dict[Path, int] = {}
        self._orders = itertools.count()

    @property
    def slots(self) -> int:
        """Number of concurrent jobs."""
        return self._slots

    def submit(self, job: Job, on_epoch: OnEpoch) -> SimulatedHandle:
        """Start `job` on a free slot, of which there must be one.

        Raises:
            ValueError: the learning curve has fewer epochs than the job.
        """
        assert sum(each.job.devices for each in self._running) < self._slots, "a job needs a free slot"
        curve = self._look_up(job.architecture, job.repeat)
        if job.to_epoch > len(curve):
            raise ValueError(f"a table must record every epoch of a job, got {len(curve)} of {job.to_epoch}")
        start = self._clock.now() + self._job_seconds
        handle = SimulatedHandle(job, on_epoch, curve, job.from_epoch, start, next(self._orders))
        self._schedule(handle, start)
        self._running.append(handle)
        return handle

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Advance the clock to the end of the next job, at most by `timeout` seconds; return that job's outcome."""
        until = self._clock.now() + timeout
        while self._running:
            handle = min(self._running, key=lambda running: (running.due, running.order))
            if handle.due > until:
                break
            self._clock.advance(max(handle.due, self._clock.now()))  # the driver may have been busy for longer
            if self._step(handle):
                self._running.remove(handle)
                return [Outcome(handle.job, handle.curve[: handle.epoch], _checkpoint(handle.job.folder, handle.epoch))]
        if self._running:
            self._clock.advance(max(until, self._clock.now()))
        return []

    def latest(self, folder: Path) -> tuple[Path, int] | None:
        """Return the checkpoint that a real training would have left in a trial's folder, and its epoch."""
        epoch = self._reached.get(folder)
        return None if epoch is None else (_checkpoint(folder, epoch), epoch)

    def close(self) -> None:
        """Drop the running jobs."""
        self._running.clear()

    def _step(self, handle: SimulatedHandle) -> bool:
        """End the epoch that is due, and return whether the job has ended."""
        if handle.epoch < handle.job.to_epoch:
            handle.epoch += 1
            self._reached[handle.job.folder] = handle.epoch
            handle.on_epoch(handle.job, handle.curve[handle.epoch - 1])
            self._schedule(handle, handle.due)
        return handle.ended

    def _schedule(self, handle: SimulatedHandle, start: float) -> None:
        if not handle.ended:
            handle.due = start + handle.curve[handle.epoch].seconds


def _checkpoint(folder: Path, epoch: int) -> Path:
    return folder / f"epoch{epoch:03d}.pt"
