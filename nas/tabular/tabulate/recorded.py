"""Executor that answers jobs of known networks from recorded curves, and passes the others on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from nas.jobs import Curve, Epoch, Executor, Handle, Job, Outcome

OnEpoch = Callable[[Job, Epoch], None]
Recorded = Callable[[Mapping[str, Any]], Curve | None]
"""Returns the full learning curve of an architecture in JSON form, None if none is recorded."""


@final
@dataclass(frozen=True)
class RecordedHandle:
    """Handle of a job that is over as soon as it is submitted."""

    job: Job

    def stop_after_epoch(self) -> None:
        """Do nothing: nothing runs."""

    def kill(self) -> None:
        """Do nothing: nothing runs."""


@final
class RecordedExecutor:
    """Executor with one slot, so that the order of a search's asks does not depend on the speed of a machine."""

    def __init__(self, inner: Executor, recorded: Recorded, on_outcome: Callable[[Outcome], None]) -> None:
        """Wrap an executor.

        Args:
            inner: trains what is not recorded.
            recorded: finds the recorded curves.
            on_outcome: called for each job that was trained, before the driver sees its outcome.
        """
        self._inner = inner
        self._recorded = recorded
        self._on_outcome = on_outcome
        self._answered: list[Outcome] = []

    @property
    def slots(self) -> int:
        """Number of jobs that run at once: 1."""
        return 1

    def submit(self, job: Job, on_epoch: OnEpoch) -> Handle:
        """Answer a job of a recorded network, or start it."""
        curve = self._recorded(job.architecture)
        if curve is None:
            return self._inner.submit(job, on_epoch)
        self._answered.append(Outcome(job, curve[: job.to_epoch], job.checkpoint))
        return RecordedHandle(job)

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Return the answers that are due, or wait for a training."""
        if self._answered:
            answers, self._answered = self._answered, []
            return answers
        outcomes = self._inner.wait(timeout)
        for outcome in outcomes:
            self._on_outcome(outcome)
        return outcomes

    def close(self) -> None:
        """Kill the running job."""
        self._inner.close()
