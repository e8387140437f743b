"""Driver of a search: ask, train, tell, until the budget is used up.

One driver asks, submits jobs, and alone writes to the study. Every decision follows from the study and the seed, so
that a killed search that is started again goes on as if nothing had happened.
"""

from __future__ import annotations

from dataclasses import asdict, replace

from nas.config.budget import Budget
from nas.evaluation.pump import DriverStoppedError, JobPump, Request, RunningJob
from nas.fidelity.policy import Inheriting, Prune, RepeatTraining, Standing, Start, Thaw
from nas.jobs import EndReason
from nas.search.announcer import Announcer
from nas.search.outcomes import OutcomeListener
from nas.search.parts import SearchParts
from nas.search.proposer import repeat_seed
from nas.search.requests import RequestBuilder
from nas.search.state import SearchState
from nas.study.progress import Progress, Running
from nas.study.retention import Retention
from nas.study.storage.errors import StorageError
from nas.study.trial import Candidate, Prospects, Record, State


class Search:
    """One run of the driver over one study."""

    def __init__(self, parts: SearchParts, budget: Budget, *, epochs: int, retries: int = 2) -> None:
        """Go on from the stored trials of the study.

        Args:
            parts: the parts of the search.
            budget: end of the search; totals over all runs of the study.
            epochs: full horizon of a training.
            retries: number of retries in this run of a trial whose process died; one that hung is retried once at most.
        """
        self._parts = parts
        self._epochs = epochs
        self._state = SearchState(parts.study, budget, parts.clock)
        parts.study.take_stop_request()  # a stale one belongs to an earlier run
        parts.study.set_attribute("budget", asdict(budget))
        parts.proposer.restore(
            list(self._state.records.values()),
            parts.study.attribute("tail"),
            asks=self._state.last_ask + 1,
            wishes=self._state.wishes,
        )
        self._requests = RequestBuilder(parts, self._state, epochs)
        outcomes = OutcomeListener(parts, self._state, epochs)
        self._pump = JobPump(parts.executor, self._next_request, outcomes, retries=retries)
        self._announcer = Announcer(parts.observers, self.progress)
        for subscriber in (parts.view.follow, self._announcer.add, self._delete_checkpoints):
            self._state.subscribe(subscriber)
        self._reason: EndReason | None = None
        self._error: Exception | None = None
        self._exhausted = False

    def run(self) -> EndReason:
        """Search until the budget is used up, nothing is left to do, or a stop.

        Returns:
            The reason for the end, which is the one given to `stop` if it was called.

        Raises:
            DriverStoppedError: the data cannot be read, no checkpoint can be written, or trial after trial fails.
            StorageError: the study cannot be written to.
        """
        try:
            self._announcer.announce()  # the first network may take a while
            while self._fill_slots():
                self._announcer.announce()
                self._pump.wait(self._parts.poll_seconds)
        except (DriverStoppedError, StorageError) as error:
            self._error = error
            raise
        finally:
            self._announcer.announce()
            self._wind_up()
            self._announcer.end(str(self._error or self._reason or "by an error"))
        assert self._reason is not None, "a search ends for a reason"
        return self._reason

    def stop(self, reason: EndReason, *, at_once: bool = False) -> None:
        """Stop running jobs after their epoch, or kill them `at_once`; they can be resumed in either case."""
        self._reason = reason
        if at_once:
            self._parts.study.stop_waiting()
        self._pump.stop(at_once=at_once)

    def progress(self) -> Progress:
        """Return the progress of the search."""
        running = [self._running(entry) for entry in self._pump.running]
        found = self._state.progress(running, self._parts.proposer.totals, self._parts.executor.slots, self._epochs)
        return replace(found, stopping=self._pump.stopping)

    def _running(self, entry: RunningJob) -> Running:
        record, job = self._state.records[entry.job.trial], entry.job
        return Running(
            trial=job.trial,
            epoch=entry.epoch,
            to_epoch=job.to_epoch,
            summary=record.candidate.summary,
            epochs=self._epochs - job.skips,
            slot=entry.slot,
            curve=self._state.current(job.trial).curve,
            candidate=record.candidate,
        )

    def _fill_slots(self) -> bool:
        """Start what may start; return whether there is an outcome to wait for."""
        self._stop_if_due()
        return self._pump.fill()

    def _stop_if_due(self) -> None:
        """Stop if the budget's minutes are over, or a stop was requested in the study."""
        if self._reason is None and self._state.time_is_up():
            self.stop(EndReason.MINUTES)
        if self._reason is None and self._parts.study.take_stop_request():
            self.stop(EndReason.STOPPED)

    def _next_request(self) -> Request | None:
        """Follow the policy's decisions up to the next one that needs a job; return the request for that."""
        self._stop_if_due()
        while not self._pump.stopping:
            match self._parts.policy.decide(self._standing()):
                case Start(to_epoch):
                    number = self._new_trial()
                    if number is not None:
                        return self._requests.request(number, to_epoch)
                case Thaw(number, to_epoch):
                    return self._requests.request(number, to_epoch)
                case RepeatTraining(number):
                    self._open_repeat(number)
                    return self._requests.request(number, self._epochs)
                case Prune(number):
                    self._state.prune(number)
                case None:
                    if not self._pump.running:
                        self._reason = EndReason.EXHAUSTED if self._exhausted else self._state.end_reason()
                    return None
            self._stop_if_due()
        return None

    def _standing(self) -> Standing:
        running = {entry.job.trial: entry for entry in self._pump.running}
        return self._state.standing(running, self._prospects, exhausted=self._exhausted)

    def _prospects(self) -> Prospects | None:
        """Return the acquisition values of the next jobs."""
        records, expected = self._state.records, self._parts.policy.expected(self._state.records)
        running = {entry.job.trial for entry in self._pump.running}
        frozen = [n for n in expected if records[n].state == State.RUNNING and n not in running]
        return self._parts.proposer.prospects(expected, {n: expected[n].seconds - records[n].seconds for n in frozen})

    def _new_trial(self) -> int | None:
        """Propose a network and store it as a new trial; return None if nothing new is found, or after a stop."""
        self._parts.view.impute(self._parts.policy.expected(self._state.records))
        for candidate in self._parts.proposer.proposals():
            if candidate is not None:
                return self._state.add(self._inherited(candidate))
            self._stop_if_due()
            if self._pump.stopping:
                return None
        self._exhausted = True
        return None

    def _open_repeat(self, number: int) -> None:
        """Open a repeat of a complete trial, unless one is open."""
        record = self._state.records[number]
        if record.repeating is None:
            self._state.open_repeat(number, repeat_seed(record.candidate.seed, len(record.repeats) + 1))

    def _inherited(self, candidate: Candidate) -> Candidate:
        """Return the candidate with the network whose weights it starts from, if the policy finds one.

        The networks to choose from follow from the study alone, whatever files are in its folder.
        """
        policy, records = self._parts.policy, list(self._state.records.values())
        if not isinstance(policy, Inheriting):
            return candidate
        retention = self._parts.retention or Retention("all", self._state.folder)
        return replace(candidate, inherits=policy.descent(candidate, retention.kept(records, self._state.contenders())))

    def _delete_checkpoints(self, record: Record) -> None:
        """Delete the checkpoints that need not stay, after a trial or a repeat has ended."""
        if self._parts.retention and record.ended:
            self._parts.retention.delete_unneeded(self._state.records.values(), self._state.contenders())

    def _wind_up(self) -> None:
        """Kill what still runs, and store its progress."""
        trials = self._pump.open_trials
        self._pump.close()
        try:
            for number in trials:
                self._state.store(number, self._state.current(number).curve, frozen=True)
            self._parts.study.set_attribute("tail", self._parts.proposer.tail())
        except StorageError:
            if self._error is None:  # otherwise a like error is on its way, and the checkpoints tell the next run
                raise
