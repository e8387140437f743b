"""The search: next job > gate > train > tell, until the budget is used up.

One driver asks, gates, hands out jobs and alone writes to the study. Everything it decides follows from the study and
the seed, so a killed search that is started again goes on as if nothing had happened.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nas.config.budget import Budget
from nas.fidelity.policy import Inheriting, Policy, Prune, RepeatTraining, Start, Thaw
from nas.jobs import Curve, EndReason, Epoch, Executor, Failure, Handle, Job, Outcome, Parent
from nas.jobs.clock import Clock, WallClock
from nas.jobs.failures import STOPPING, Verdict, set_aside, verdict
from nas.samplers.view import View
from nas.search.proposer import Proposer, repeat_seed
from nas.search.state import Book
from nas.study.progress import Observer, Progress, Running
from nas.study.retention import Retention
from nas.study.storage.errors import StorageError
from nas.study.study import Study
from nas.study.trial import Candidate, Prospects, Record, State

POLL_SECONDS = 0.5
NOTE_SECONDS = 30.0
MAX_FAILURES_IN_A_ROW = 10

log = logging.getLogger(__name__)

Values = Callable[[Curve, Mapping[str, float]], dict[str, float]]
Latest = Callable[[Path], tuple[Path, int] | None]
Devices = Callable[[Mapping[str, Any]], int]


def one_device(_: Mapping[str, Any]) -> int:
    """Trains every network over one device."""
    return 1


class SearchStoppedError(ValueError):
    """Something that every further trial would meet too; the study is intact and can be resumed."""


@dataclass(frozen=True)
class Parts:
    """What a search is made of.

    Attributes:
        study: where everything is stored.
        view: what the sampler sees; empty.
        proposer: finds the next network; asks that view.
        policy: how far a trial is trained before the next decision about it.
        executor: runs the jobs.
        values: the objectives of a trained network from its curve and its costs.
        latest: the newest checkpoint in a trial's folder, and its epoch.
        observers: who is told how the search stands.
        retention: drops checkpoints of trials that have ended; None keeps them all.
        devices: over how many devices a network is trained; more than there are slots is all of them.
        clock: what the budget's minutes are counted by.
        poll_seconds: how long the executor is waited for before the driver looks up again, positive.
    """

    study: Study
    view: View
    proposer: Proposer
    policy: Policy
    executor: Executor
    values: Values
    latest: Latest
    observers: Sequence[Observer] = ()
    retention: Retention | None = None
    clock: Clock = field(default_factory=WallClock)
    poll_seconds: float = POLL_SECONDS
    devices: Devices = one_device


class Search:
    """One run of the driver over one study."""

    def __init__(self, parts: Parts, budget: Budget, *, epochs: int, retries: int = 2) -> None:
        """Take up the study where it stands.

        Args:
            parts: what the search is made of.
            budget: where it ends; totals over all runs of the study.
            epochs: the full horizon of a training.
            retries: how often a trial whose process died is tried again in this run; one that hung, once at most.
        """
        self._parts = parts
        self._epochs = epochs
        self._retries = retries
        self._book = Book(parts.study, budget, parts.clock)
        parts.study.take_stop_request()  # one that nobody took belongs to an earlier run
        parts.study.set_attribute("budget", asdict(budget))
        parts.proposer.restore(list(self._book.records.values()), parts.study.attribute("tail"))
        self._handles: dict[int, Handle] = {}
        self._due: Thaw | None = None
        self._reached: dict[int, int] = {}
        self._noted: dict[int, float] = {}
        self._again: dict[tuple[int, int], Counter[str]] = {}
        self._ended_trials: list[tuple[Record, Progress]] = []
        self._failures = 0
        self._reason: EndReason | None = None
        self._error = ""
        self._exhausted = False
        self._at_once = False
        self._broken = False

    def run(self) -> EndReason:
        """Search until there is nothing left to do or somebody stops it.

        Returns:
            Why it ended: `budget`, `converged` (training gains too little), `exhausted` (nothing new is found),
            `minutes`, `stopped` (by a request in the study's folder), or what `stop` was given.

        Raises:
            SearchStoppedError: the data cannot be read, no checkpoint can be written, or trial after trial fails.
            StorageError: the study cannot be written to.
        """
        try:
            while self._fill_slots() or self._handles:
                self._announce()
                for outcome in self._parts.executor.wait(self._parts.poll_seconds):
                    self._settle(outcome)
                if self._at_once:
                    break
        except (SearchStoppedError, StorageError) as error:
            self._error, self._broken = str(error), True
            raise
        finally:
            self._announce()
            self._wind_up()
            for observer in self._parts.observers:
                observer.on_end(self.progress(), str(self._reason or self._error or "by an error"))
        assert self._reason is not None, "a search that ends has a reason"
        return self._reason

    def stop(self, reason: EndReason, *, at_once: bool = False) -> None:
        """End: running jobs stop at the end of their epoch, or are killed `at_once`; either way they can be resumed."""
        self._at_once = self._at_once or at_once
        self._reason = reason
        if at_once:
            self._parts.study.stop_waiting()
        for handle in self._handles.values():
            handle.stop_after_epoch()

    def progress(self) -> Progress:
        """How the search stands now."""
        running = [
            Running(number, self._reached[number], handle.job.to_epoch, self._book.records[number].candidate.summary)
            for number, handle in self._handles.items()
        ]
        return self._book.progress(running, self._parts.proposer.totals, self._parts.executor.slots)

    def _fill_slots(self) -> bool:
        """Hand out jobs while slots are free and there is something to do; whether any was handed out."""
        started = self._submit_due()
        while self._due is None and not self._must_end() and self._free_slots() > 0:
            standing = self._book.standing(self._handles, self._prospects, exhausted=self._exhausted)
            match self._parts.policy.decide(standing):
                case Start(to_epoch):
                    number = self._new_trial()
                    if number is None:
                        continue
                    self._due = Thaw(number, to_epoch)
                case Thaw() as thaw:
                    self._due = thaw
                case RepeatTraining(number):
                    self._due = self._repeat(number)
                case Prune(number):
                    self._prune(number)
                    continue
                case None:
                    if not self._handles:
                        self._reason = EndReason.EXHAUSTED if self._exhausted else self._book.ending()
                    break
            started = self._submit_due() or started
        return started

    def _submit_due(self) -> bool:
        """Hand out the job that is due, once it has all of its devices; whether it was.

        No other job overtakes it: the devices drain, and it waits for the running jobs alone.
        """
        if self._due is None or self._reason:
            return False
        architecture = self._book.records[self._due.trial].candidate.architecture
        devices = min(self._parts.devices(architecture), self._parts.executor.slots)
        if devices > self._free_slots():
            return False
        due, self._due = self._due, None
        self._submit(due, devices)
        return True

    def _free_slots(self) -> int:
        return self._parts.executor.slots - sum(handle.job.devices for handle in self._handles.values())

    def _prospects(self) -> Prospects | None:
        """What the sampler says of the next jobs."""
        records = self._book.records
        expected = self._parts.policy.expected(records)
        self._parts.view.expect(expected)
        frozen = {
            n: outlook
            for n, outlook in expected.items()
            if records[n].state == State.RUNNING and n not in self._handles
        }
        return self._parts.proposer.prospects({n: o.seconds - records[n].seconds for n, o in frozen.items()})

    def _new_trial(self) -> int | None:
        """Ask for a network and store it as a new trial; None where nothing new is found, or time is up before."""
        self._parts.view.expect(self._parts.policy.expected(self._book.records))
        proposed = self._parts.proposer.propose(self._must_end)
        if proposed is None:
            self._exhausted = not self._must_end()
            return None
        candidate, ask = proposed
        number = self._book.add(self._descended(candidate))
        self._parts.view.accept(ask, number, candidate.constraints)
        return number

    def _repeat(self, number: int) -> Thaw:
        """The job that trains a complete trial's network once more, or goes on with its open repeat."""
        record = self._book.records[number]
        if record.repeating is None:
            self._book.open_repeat(number, repeat_seed(record.candidate.seed, len(record.repeats) + 1))
        return Thaw(number, self._epochs)

    def _descended(self, candidate: Candidate) -> Candidate:
        """The candidate with the trained network whose weights it starts from, where there is one.

        Which networks come into question follows from the study alone, whatever lies in its folder.
        """
        policy, records = self._parts.policy, list(self._book.records.values())
        if not isinstance(policy, Inheriting):
            return candidate
        retention = self._parts.retention or Retention("all", self._book.folder)
        return replace(candidate, inherits=policy.descent(candidate, retention.kept(records, self._book.contenders())))

    def _parent(self, number: int) -> Parent | None:
        """Whose weights a trial starts from."""
        record = self._book.records[number]
        if record.descent is None or record.repeating:  # a repeat starts from fresh weights
            return None
        descent = record.descent
        ancestor = self._book.records[descent.trial]
        checkpoint = self._parts.study.folder / str(ancestor.training.checkpoint)
        return Parent(descent.trial, ancestor.candidate.architecture, checkpoint, descent.skips)

    def _must_end(self) -> bool:
        """Whether the search is to end now, whatever is still to do."""
        if not self._reason and self._book.time_is_up():
            self.stop(EndReason.MINUTES)
        if not self._reason and self._parts.study.take_stop_request():
            self.stop(EndReason.STOPPED)
        return bool(self._reason)

    def _submit(self, due: Thaw, devices: int) -> None:
        """Hand out a job for a trial, from its newest checkpoint."""
        number = due.trial
        record, folder = self._book.records[number], self._book.folder(number)
        parent = self._parent(number)
        goal = min(due.to_epoch, self._epochs - (parent.skips if parent else 0))
        attempt = self._book.next_attempt(number, goal, devices)
        checkpoint, epoch = self._parts.latest(folder) or (None, 0)
        job = Job(
            trial=number,
            attempt=attempt,
            architecture=record.candidate.architecture,
            seed=record.repeating.seed if record.repeating else record.candidate.seed,
            from_epoch=epoch,
            to_epoch=max(epoch, goal),
            folder=folder,
            checkpoint=checkpoint,
            micro_batches=self._book.micro_batches(number),
            devices=devices,
            repeat=len(record.repeats) if record.repeating else 0,
            parent=parent,
        )
        self._handles[number] = self._parts.executor.submit(job, self._on_epoch)
        self._reached[number], self._noted[number] = epoch, self._parts.clock.now()
        if self._reason:  # `stop` came, in a signal, while the job was on its way and had no handle yet
            self._handles[number].stop_after_epoch()

    def _on_epoch(self, job: Job, row: Epoch) -> None:
        number, curve = job.trial, self._book.current(job.trial).curve
        self._reached[number] = row.epoch
        if row.epoch != len(curve) + 1:  # epochs before it were trained under another driver: the outcome brings them
            return
        self._book.see(number, (*curve, row))
        if (
            self._parts.clock.now() - self._noted[number] > NOTE_SECONDS
        ):  # writing each epoch would cost short trials too much
            self._book.note(number, (*curve, row))
            self._noted[number] = self._parts.clock.now()

    def _settle(self, outcome: Outcome) -> None:
        """Take in what came of a job."""
        number = outcome.job.trial
        del self._handles[number]
        if outcome.failure:
            self._settle_failure(outcome, outcome.failure)
            return
        frozen = outcome.job.skips + outcome.epoch < self._epochs
        self._book.note(number, outcome.curve, frozen=frozen, checkpoint=outcome.checkpoint)
        if not frozen:
            self._complete(outcome)

    def _complete(self, outcome: Outcome) -> None:
        number = outcome.job.trial
        values = self._parts.values(outcome.curve, self._book.records[number].candidate.costs)
        self._book.complete(number, values)
        self._failures = 0
        record = self._book.records[number]
        if outcome.job.repeat:
            self._parts.view.correct(number, record.values or values)
            self._sweep()
        else:
            self._parts.view.tell(number, values, record.full_seconds)
            self._ended(number)

    def _prune(self, number: int) -> None:
        self._book.prune(number)
        self._parts.view.prune(number)
        self._ended(number)

    def _settle_failure(self, outcome: Outcome, failure: Failure) -> None:
        """Try again what may go well the next time, stop at what every trial would meet, and give up the rest."""
        job = outcome.job
        again = self._again.setdefault((job.trial, job.repeat), Counter())
        match verdict(failure, job, again, self._retries):
            case Verdict.STOP:
                self._book.note(job.trial, self._book.current(job.trial).curve, frozen=True)
                raise SearchStoppedError(f"{STOPPING[failure.kind]}: {failure.message}")
            case Verdict.FAIL:
                self._give_up(outcome, failure)
                return
            case Verdict.ANEW:
                set_aside(job)
                self._book.see(job.trial, ())
            case Verdict.DISINHERIT:
                log.warning("trial %d is trained in full from fresh weights: %s", job.trial, failure.message)
                self._book.disinherit(job.trial)
            case Verdict.SMALLER:
                self._book.halve_batches(job.trial)
        again[failure.kind] += 1
        self._book.retry(job.trial, failure.kind)

    def _give_up(self, outcome: Outcome, failure: Failure) -> None:
        number = outcome.job.trial
        whole = outcome.curve[:1] and outcome.curve[0].epoch == 1  # a process that died told of its own epochs only
        self._book.note(number, max(self._book.current(number).curve, outcome.curve if whole else (), key=len))
        self._book.fail(number, failure)
        if outcome.job.repeat:  # the network counts with what its other trainings came to
            self._sweep()
        else:
            self._parts.view.fail(number)
            self._ended(number)
        self._failures += 1
        if self._failures >= MAX_FAILURES_IN_A_ROW:
            raise SearchStoppedError(f"{self._failures} trials in a row failed, the last one so: {failure.message}")

    def _ended(self, number: int) -> None:
        self._ended_trials.append((self._book.records[number], self.progress()))
        self._sweep()

    def _sweep(self) -> None:
        if self._parts.retention:
            self._parts.retention.sweep(self._book.records.values(), self._book.contenders())

    def _wind_up(self) -> None:
        """Kill what still runs, and store how far it came."""
        self._parts.executor.close()
        running = [*self._handles, *([self._due.trial] if self._due else [])]
        self._handles.clear()
        try:
            for number in running:
                self._book.note(number, self._book.current(number).curve, frozen=True)
            self._parts.study.set_attribute("tail", self._parts.proposer.tail())
        except StorageError:
            if not self._broken:  # otherwise a like error is on its way already, and the checkpoints tell the next run
                raise

    def _announce(self) -> None:
        """Tell the observers what has happened; free slots get their jobs first, so that none waits for a picture."""
        for record, progress in self._ended_trials:
            for observer in self._parts.observers:
                observer.on_trial(record, progress)
        self._ended_trials.clear()
        if self._parts.observers:
            progress = self.progress()
            for observer in self._parts.observers:
                observer.on_progress(progress)
