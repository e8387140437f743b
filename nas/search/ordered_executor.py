"""Executor whose outcomes arrive in the order of their jobs, so that no decision depends on the speed of a training."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import final

from nas.jobs import Epoch, Executor, Handle, Job, Outcome

OnEpoch = Callable[[Job, Epoch], None]


@final
@dataclass(eq=False)
class _Held:
    """A job and what is known of it, held back until the jobs before it have ended."""

    job: Job
    on_epoch: OnEpoch
    rows: list[Epoch] = field(default_factory=list)
    outcome: Outcome | None = None

    def keep(self, _job: Job, row: Epoch) -> None:
        """Keep an epoch."""
        self.rows.append(row)

    def release(self) -> Outcome:
        """Pass the epochs on, and return the outcome."""
        assert self.outcome is not None
        for row in self.rows:
            self.on_epoch(self.job, row)
        return self.outcome


@final
class OrderedExecutor:
    """Executor that runs jobs on another one, and tells of the first of them alone.

    With k slots job n + k is asked for when the outcomes of the first n jobs are known and nothing of the others,
    however fast each was. A slot waits while an earlier job still runs.
    """

    def __init__(self, inner: Executor) -> None:
        """Wrap an executor."""
        self._inner = inner
        self._held: list[_Held] = []

    @property
    def slots(self) -> int:
        """Number of jobs that run at once."""
        return self._inner.slots

    def submit(self, job: Job, on_epoch: OnEpoch) -> Handle:
        """Start a job after those submitted before it."""
        held = _Held(job, on_epoch)
        handle = self._inner.submit(job, held.keep)
        self._held.append(held)
        return handle

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Block until the first job ends, or for `timeout` seconds; return its outcome alone."""
        until = time.monotonic() + timeout
        while not (self._held and self._held[0].outcome):
            left = max(0.0, until - time.monotonic())
            for outcome in self._inner.wait(left):
                ended = next(held for held in self._held if held.job.folder == outcome.job.folder)
                ended.outcome = outcome
            if left == 0.0:
                break
        if not (self._held and self._held[0].outcome):
            return []
        return [self._held.pop(0).release()]

    def close(self) -> None:
        """Kill the running jobs."""
        self._inner.close()
        self._held.clear()
