"""Consequences of a search's outcomes for its state: trials stored, completed, retried or failed."""

from __future__ import annotations

import logging
from typing import final

from nas.evaluation.pump import DriverStoppedError
from nas.jobs import Epoch, Failure, Job, Outcome
from nas.jobs.failures import Verdict
from nas.search.parts import SearchParts
from nas.search.state import SearchState

STORE_SECONDS = 30.0
MAX_FAILURES_IN_A_ROW = 10

log = logging.getLogger(__name__)


@final
class OutcomeListener:
    """Writes what becomes of the jobs into the state of the search."""

    def __init__(self, parts: SearchParts, state: SearchState, epochs: int) -> None:
        """Start without failures.

        Args:
            parts: the parts of the search.
            state: the state of the search.
            epochs: full horizon of a training.
        """
        self._parts = parts
        self._state = state
        self._epochs = epochs
        self._stored: dict[int, float] = {}
        self._failures = 0

    def on_submit(self, job: Job) -> None:
        """Count the seconds to the next store from now on."""
        self._stored[job.trial] = self._parts.clock.now()

    def on_epoch(self, job: Job, row: Epoch) -> None:
        """Keep the trial's curve; store it at most every `STORE_SECONDS`, since each write costs short trials time."""
        number, curve = job.trial, self._state.current(job.trial).curve
        if row.epoch != len(curve) + 1:  # epochs before it were trained under another driver: the outcome has them
            return
        self._state.keep_curve(number, (*curve, row))
        if self._parts.clock.now() - self._stored[number] > STORE_SECONDS:
            self._state.store(number, (*curve, row))
            self._stored[number] = self._parts.clock.now()

    def on_success(self, outcome: Outcome) -> None:
        """Store the curve and the checkpoint; complete the training after the last epoch of the schedule."""
        number = outcome.job.trial
        frozen = outcome.job.skips + outcome.epoch < self._epochs
        self._state.store(number, outcome.curve, frozen=frozen, checkpoint=outcome.checkpoint)
        if not frozen:
            costs = self._state.records[number].candidate.costs
            self._failures = 0
            self._state.complete(number, self._parts.values(outcome.curve, costs))

    def on_retry(self, job: Job, failure: Failure, verdict: Verdict) -> None:
        """Change the trial as the verdict says, and count the retry."""
        log.info("trial %d is retried (%s): %s", job.trial, failure.kind, failure.message)
        match verdict:
            case Verdict.DROP_CHECKPOINT:
                self._state.keep_curve(job.trial, ())
            case Verdict.DISINHERIT:
                log.warning("trial %d is trained in full from fresh weights: %s", job.trial, failure.message)
                self._state.disinherit(job.trial)
            case Verdict.HALVE_BATCHES:
                self._state.halve_batches(job.trial)
        self._state.count_retry(job.trial, failure.kind)

    def on_give_up(self, outcome: Outcome, failure: Failure) -> None:
        """End the trial, or its repeat, as failed.

        Raises:
            DriverStoppedError: `MAX_FAILURES_IN_A_ROW` trials have failed without a complete one between them.
        """
        number = outcome.job.trial
        whole = outcome.curve[:1] and outcome.curve[0].epoch == 1  # a dead process reported only its own epochs
        self._state.store(number, max(self._state.current(number).curve, outcome.curve if whole else (), key=len))
        self._state.fail(number, failure)
        self._failures += 1
        if self._failures >= MAX_FAILURES_IN_A_ROW:
            raise DriverStoppedError(f"{self._failures} trials in a row failed, the last one so: {failure.message}")

    def on_stop(self, job: Job) -> None:
        """Store the trial as frozen."""
        self._state.store(job.trial, self._state.current(job.trial).curve, frozen=True)
