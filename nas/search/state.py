"""State of a search: all trials in memory, each change written to the study first, then told to the subscribers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.config.budget import Budget
from nas.fidelity.policy import Standing
from nas.jobs import Curve, EndReason, Failure, curve_seconds, repeat_folder
from nas.jobs.clock import Clock
from nas.jobs.links import refuse_links
from nas.objectives.pareto import hypervolume, hypervolumes
from nas.search.convergence import gain_an_hour
from nas.study.progress import Progress, Running
from nas.study.selection import believed_front
from nas.study.study import Study
from nas.study.summary import spent_clock
from nas.study.time_left import COUNTED, TimeLeft, share_of_trials, trainings_used
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Prospects, Record, Repeat, State, in_order_of_ends

TRAINED = (State.COMPLETE, State.PRUNED)

Subscriber = Callable[[Record], None]
"""Called with a trial's record when it is added, when it ends, and when a repeat of it ends."""


class SearchState:
    """Trials of a study as its one driver knows them, and the part of the budget that they have used up."""

    def __init__(self, study: Study, budget: Budget, clock: Clock) -> None:
        """Read the study once; from here on only the driver changes it.

        Args:
            study: the study.
            budget: totals over all runs of the study.
            clock: clock of the budget's minutes.
        """
        self.study = study
        self._budget = budget
        self._subscribers: list[Subscriber] = []
        reading = study.read_trials()
        self.records = {record.number: record for record in reading.records}
        self.last_ask, self.wishes = reading.last_ask, reading.wishes
        self._clock_before = spent_clock(list(self.records.values()))
        self._history = self._earlier_hypervolumes()
        self.front = self._believed_front()
        self._time_left = TimeLeft(budget)
        self._now = clock.now
        self._started = self._now()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` after each change of a trial, in the order of subscription."""
        self._subscribers.append(subscriber)

    def add(self, candidate: Candidate) -> int:
        """Store a new trial; return its number."""
        number = self.study.add(candidate)
        self.records[number] = Record(number, State.RUNNING, candidate, (), TrainingState(attempt=0), None, None)
        self._publish(number)
        return number

    def complete(self, number: int, values: Mapping[str, float]) -> None:
        """End a trial trained in full, or its open repeat, which may change the front by the trial's new mean."""
        if repeat := self.records[number].repeating:
            self._write_repeat(number, replace(repeat, values=values))
        else:
            self.study.tell(number, values)
            self._replace(number, state=State.COMPLETE, values=values)
        self.front = self._believed_front()
        self._history.append(self._hypervolume)
        self._publish(number)

    def prune(self, number: int) -> None:
        """End a trial as pruned."""
        self.study.prune(number)
        self._replace(number, state=State.PRUNED)
        self._publish(number)

    def fail(self, number: int, failure: Failure) -> None:
        """End a trial as failed, or its open repeat, after which the trial keeps its values."""
        if repeat := self.records[number].repeating:
            self._write_repeat(number, replace(repeat, failure=failure))
        else:
            self.study.fail(number, failure)
            self._replace(number, state=State.FAILED, failure=failure)
        self._publish(number)

    def open_repeat(self, number: int, seed: int) -> None:
        """Add an open repeat to a complete trial."""
        self._write_repeat(number, Repeat(seed))
        self._replace(number, training=TrainingState(attempt=0))

    def begin_attempt(self, number: int, to_epoch: int, devices: int) -> int:
        """Count a new attempt and return its number; store it if an earlier one may have left files.

        A stored trial without a training state had a first attempt, whose driver was killed.

        Args:
            number: number of the trial.
            to_epoch: last epoch that the attempt is to train.
            devices: number of devices that it gets.
        """
        training = self.current(number).training
        attempt = (1 if training.attempt is None else training.attempt) + 1
        training = replace(training, attempt=attempt, to_epoch=to_epoch, devices=devices)
        self._replace(number, training=training)
        if attempt > 1:
            self.store(number, self.current(number).curve, frozen=False)
        return attempt

    def current(self, number: int) -> Record | Repeat:
        """Return the training that a job of the trial goes on with: its open repeat, or else its own."""
        return self.records[number].repeating or self.records[number]

    def micro_batches(self, number: int) -> int:
        """Return the number of parts that the batches of a trial are cut into."""
        return self.current(number).training.micro_batches or 1

    def halve_batches(self, number: int) -> None:
        """Cut the batches of a trial into twice as many parts, and mark the trial, since batch norm sees the parts."""
        training = replace(self.current(number).training, micro_batches=2 * self.micro_batches(number))
        self._replace(number, training=training)

    def disinherit(self, number: int) -> None:
        """Train a trial in full from fresh weights, since those of its parent are lost."""
        self._replace(number, training=replace(self.records[number].training, disinherited=True))

    def count_retry(self, number: int, kind: str) -> None:
        """Store that a trial is retried after a failure of this kind."""
        current = self.current(number)
        retries = Counter(current.training.retries or {})
        retries[str(kind)] += 1
        self.store(number, current.curve, retries=dict(retries))

    def keep_curve(self, number: int, curve: Curve) -> None:
        """Keep the curve of a running trial in memory alone."""
        self._replace(number, curve=curve)

    def store(self, number: int, curve: Curve, *, checkpoint: Path | None = None, **changes: Any) -> None:
        """Store the curve and the training state of a trial.

        Args:
            number: number of the trial.
            curve: its curve so far.
            checkpoint: its newest checkpoint; None leaves the stored one.
            changes: further fields of its `TrainingState`.
        """
        training = replace(self.current(number).training, **changes)
        training = replace(training, epochs=len(curve), seconds=curve_seconds(curve), clock=self.clock())
        if checkpoint:
            training = replace(training, checkpoint=str(checkpoint.relative_to(self.study.folder)))
        if repeat := self.records[number].repeating:
            self._write_repeat(number, replace(repeat, curve=curve, training=training))
            return
        self.study.store_training(number, curve, training)
        self._replace(number, curve=curve, training=training)

    def standing(
        self, running: Mapping[int, object], prospects: Callable[[], Prospects | None], *, exhausted: bool
    ) -> Standing:
        """Return the trials and the rest of the budget, for the policy's next decision.

        Args:
            running: trials with a running job, by number.
            prospects: returns the acquisition values of the next jobs.
            exhausted: whether the sampler finds nothing new any more.
        """
        budget = self._budget
        return Standing(
            records=self.records,
            waiting=[r for r in self.records.values() if r.state == State.RUNNING and r.number not in running],
            may_start=not exhausted and self.may_start(),
            trainings_left=None if budget.trainings is None else max(0.0, budget.trainings - self.trainings()),
            seconds_left=None if budget.minutes is None else max(0.0, 60 * budget.minutes - self.clock()),
            prospects=prospects,
            running=running,
        )

    def contenders(self) -> list[Record]:
        """Return the front, with the trials that further results may still bring back to it, and those repeated now."""
        complete = [record for record in self.records.values() if record.values]
        hopeful = self.study.believer.contenders(complete)
        return [record for record in complete if record.number in hopeful or record.repeating]

    def folder(self, number: int) -> Path:
        """Return the folder of the training that a job of the trial goes on with."""
        record, folder = self.records[number], self.study.trial_folder(number)
        if not record.repeating:
            return folder
        repeat = repeat_folder(folder, len(record.repeats))
        refuse_links(self.study.folder, repeat)
        return repeat

    def converged(self) -> bool:
        """Return whether an hour of training gains less hypervolume than the budget asks for."""
        if self._budget.min_gain is None:
            return False
        gain = gain_an_hour(list(self.records.values()), self.study.believer, self._budget.patience)
        return gain is not None and gain < self._budget.min_gain

    def end_reason(self) -> EndReason:
        """Return the reason for which no trial may start any more."""
        return EndReason.CONVERGED if self.converged() else EndReason.BUDGET

    def may_start(self) -> bool:
        """Return whether the budget allows another trial."""
        if self.converged():
            return False
        counted = sum(r.state in COUNTED and not r.candidate.imported for r in self.records.values())
        if self._budget.trials is not None and counted >= self._budget.trials:
            return False
        return self._budget.trainings is None or self.trainings() < self._budget.trainings

    def trainings(self) -> float:
        """Return the training so far in full-training equivalents."""
        return trainings_used(self.records.values(), self._budget)

    def clock(self) -> float:
        """Return the seconds for which the study has been searched, earlier runs included."""
        return self._clock_before + self._now() - self._started

    def time_is_up(self) -> bool:
        """Return whether the budget's minutes are over."""
        return self._budget.minutes is not None and self.clock() >= 60 * self._budget.minutes

    def progress(self, running: list[Running], skipped: Mapping[str, int], slots: int, epochs: int) -> Progress:
        """Return the progress of the search.

        Args:
            running: the running jobs.
            skipped: counts of asks that led to no trial.
            slots: number of slots.
            epochs: full horizon of a training.
        """
        records = list(self.records.values())
        axes = self.study.axes
        states = [record.state for record in records]
        counts = {str(state): states.count(state) for state in (*TRAINED, State.FAILED)}
        trained = sum(self.records[job.trial].state == State.RUNNING for job in running)
        imported = sum(record.candidate.imported for record in records)
        counts |= {"running": len(running), "frozen": states.count(State.RUNNING) - trained}
        counts |= {"repeats": sum(max(0, record.trainings - 1) for record in records)}
        left = self._time_left.seconds(records, running, slots, self.clock())
        return Progress(
            counts=counts | dict(skipped),
            trials=None if self._budget.trials is None else self._budget.trials + imported,
            front=self.front,
            axes=axes,
            hypervolume=self._hypervolume,
            running=running,
            training_seconds=sum(record.spent for record in records),
            clock_seconds=self.clock(),
            seconds_left=left,
            share_done=self._share_done(left, epochs),
            best=self._picked.get("best"),
            knee=self._picked.get("knee"),
            history=tuple(self._history),
        )

    def _share_done(self, left: float | None, epochs: int) -> float | None:
        """Return the share of the trials that is done, running ones by epochs; without such a budget, of the time."""
        if self._budget.trials is not None:
            return share_of_trials(self.records.values(), self._budget.trials, epochs)
        clock = self.clock()
        if left is None:
            return None
        return clock / (clock + left) if clock + left > 0 else 1.0

    def _believed_front(self) -> list[Record]:
        """Return the front by the posterior means; keep its hypervolume, best network and knee."""
        complete = [record for record in self.records.values() if record.values]
        front = believed_front(complete, self.study.believer)
        self._hypervolume = hypervolume(front.losses)
        self._picked = {"best": front.member(front.best), "knee": front.member(front.knee)}
        return front.members

    def _earlier_hypervolumes(self) -> list[float]:
        """Return the hypervolume after each stored complete trial, in order of their ends, by the present belief."""
        complete = in_order_of_ends(record for record in self.records.values() if record.values)
        return hypervolumes(self.study.believer.losses(complete))

    def _publish(self, number: int) -> None:
        for subscriber in self._subscribers:
            subscriber(self.records[number])

    def _write_repeat(self, number: int, repeat: Repeat) -> None:
        """Store a trial's last repeat; one that is complete moves the trial's values."""
        record = self.records[number].with_repeat(repeat)
        self.study.store_repeat(number, len(record.repeats), repeat)
        self.records[number] = record

    def _replace(self, number: int, **changes: object) -> None:
        """Replace fields of a trial's record, or of its open repeat, in memory."""
        record, repeat = self.records[number], self.records[number].repeating
        if repeat is None:
            self.records[number] = replace(record, **changes)  # type: ignore[arg-type]  # fields of Record
        else:
            self.records[number] = record.with_repeat(replace(repeat, **changes))  # type: ignore[arg-type]  # of Repeat
