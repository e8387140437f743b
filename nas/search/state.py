"""The driver's account of its study: every trial in memory, every change of one written to the study first."""

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
from nas.objectives.pareto import dominated, hypervolume, losses
from nas.search.convergence import gain_an_hour
from nas.study.progress import Progress, Running
from nas.study.study import Study
from nas.study.summary import front_records, spent_clock
from nas.study.training_state import TrainingState
from nas.study.trial import ENDED, Candidate, Prospects, Record, Repeat, State

COUNTED = (State.COMPLETE, State.PRUNED, State.RUNNING)
TRAINED = (State.COMPLETE, State.PRUNED)


class Book:
    """The trials of a study as its one driver knows them, and what of the budget they have used up."""

    def __init__(self, study: Study, budget: Budget, clock: Clock) -> None:
        """Read the study once; from here on only the driver changes it."""
        self.study = study
        self._budget = budget
        self.records = {record.number: record for record in study.records()}
        self._clock_before = spent_clock(list(self.records.values()))
        self._front = front_records(list(self.records.values()), study.axes)
        self._now = clock.now
        self._started = self._now()

    def add(self, candidate: Candidate) -> int:
        """Store a new trial; its number."""
        number = self.study.add(candidate)
        self.records[number] = Record(number, State.RUNNING, candidate, (), TrainingState(attempt=0), None, None)
        return number

    def next_attempt(self, number: int, to_epoch: int, devices: int) -> int:
        """Number of the next attempt at a trial, stored where an earlier one may have left files.

        With it goes where it is to end and over how many devices it is trained. A stored trial without a word about its
        training had a first attempt whose driver was killed.
        """
        training = self.current(number).training
        attempt = (1 if training.attempt is None else training.attempt) + 1
        training = replace(training, attempt=attempt, to_epoch=to_epoch, devices=devices)
        self._remember(number, training=training)
        if attempt > 1:
            self.note(number, self.current(number).curve, frozen=False)
        return attempt

    def current(self, number: int) -> Record | Repeat:
        """The training of a trial that a job goes on with: its open repeat, or else its own."""
        return self.records[number].repeating or self.records[number]

    def open_repeat(self, number: int, seed: int) -> None:
        """Begin to train a complete trial's network again."""
        self._write_repeat(number, Repeat(seed))
        self._remember(number, training=TrainingState(attempt=0))

    def micro_batches(self, number: int) -> int:
        """Parts that the batches of a trial are cut into."""
        return self.current(number).training.micro_batches or 1

    def halve_batches(self, number: int) -> None:
        """Cut the batches of a trial into twice as many parts from now on, and mark the trial: batch norm notices."""
        training = self.current(number).training
        self._remember(number, training=replace(training, micro_batches=2 * self.micro_batches(number)))

    def disinherit(self, number: int) -> None:
        """Train a trial from fresh weights, in full, since those of its parent are lost."""
        self._remember(number, training=replace(self.records[number].training, disinherited=True))

    def retry(self, number: int, kind: str) -> None:
        """Store that a trial is tried again after a failure of this kind."""
        current = self.current(number)
        retries = Counter(current.training.retries or {})
        retries[str(kind)] += 1
        self.note(number, current.curve, retries=dict(retries))

    def see(self, number: int, curve: Curve) -> None:
        """Keep a running trial's curve in mind, without storing it."""
        self._remember(number, curve=curve)

    def note(self, number: int, curve: Curve, *, checkpoint: Path | None = None, **fields: Any) -> None:
        """Store how far a trial has come."""
        training = replace(self.current(number).training, **fields)
        training = replace(training, epochs=len(curve), seconds=curve_seconds(curve), clock=self.clock())
        if checkpoint:
            training = replace(training, checkpoint=str(checkpoint.relative_to(self.study.folder)))
        if repeat := self.records[number].repeating:
            self._write_repeat(number, replace(repeat, curve=curve, training=training))
            return
        self.study.note(number, curve, training)
        self._remember(number, curve=curve, training=training)

    def complete(self, number: int, values: Mapping[str, float]) -> None:
        """End what was trained in full: a repeat, which may take its trial or others from the front, or a trial."""
        if repeat := self.records[number].repeating:
            self._write_repeat(number, replace(repeat, values=values))
            self._front = front_records(list(self.records.values()), self.study.axes)
            return
        self.study.tell(number, values)
        self._remember(number, state=State.COMPLETE, values=values)
        self._front = front_records([*self._front, self.records[number]], self.study.axes)

    def prune(self, number: int) -> None:
        """End a trial that is given up."""
        self.study.prune(number)
        self._remember(number, state=State.PRUNED)

    def fail(self, number: int, failure: Failure) -> None:
        """End what failed: a repeat, and its trial counts as before, or a trial."""
        if repeat := self.records[number].repeating:
            self._write_repeat(number, replace(repeat, failure=failure))
            return
        self.study.fail(number, failure)
        self._remember(number, state=State.FAILED, failure=failure)

    def standing(
        self, running: Mapping[int, object], prospects: Callable[[], Prospects | None], *, exhausted: bool
    ) -> Standing:
        """Where the search stands.

        Args:
            running: the trials that are trained now, by number.
            prospects: what the sampler says of the next jobs.
            exhausted: whether nothing new is found any more.
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
        """The front, and what may come back to it: what is dominated only by networks that may be repeated yet."""
        complete = [record for record in self.records.values() if record.values]
        most = max((len(record.repeats) for record in complete), default=0)
        if most == 0:
            return self._front
        settled = [record.values for record in complete if record.values and len(record.repeats) == most]
        points = losses(self.study.axes, [record.values for record in complete if record.values])
        beaten = dominated(points, losses(self.study.axes, settled))
        return [r for r, out in zip(complete, beaten, strict=True) if not out or r.repeating]

    def folder(self, number: int) -> Path:
        """Where checkpoints and log are of the training that a job goes on with."""
        record, folder = self.records[number], self.study.trial_folder(number)
        return repeat_folder(folder, len(record.repeats)) if record.repeating else folder

    def converged(self) -> bool:
        """Whether an hour of training gains less than the budget asks for."""
        if self._budget.min_gain is None:
            return False
        gain = gain_an_hour(list(self.records.values()), self.study.axes, self._budget.patience)
        return gain is not None and gain < self._budget.min_gain

    def ending(self) -> EndReason:
        """Why nothing new may start."""
        return EndReason.CONVERGED if self.converged() else EndReason.BUDGET

    def may_start(self) -> bool:
        """Whether the budget allows another trial."""
        if self.converged():
            return False
        counted = sum(record.state in COUNTED for record in self.records.values())
        if self._budget.trials is not None and counted >= self._budget.trials:
            return False
        return self._budget.trainings is None or self.trainings() < self._budget.trainings

    def trainings(self) -> float:
        """Training so far in full-training equivalents: all seconds by those of a full training."""
        complete = [r.seconds for r in self.records.values() if r.state == State.COMPLETE and r.descent is None]
        spent = sum(record.spent for record in self.records.values())
        if self._budget.training_seconds is not None:
            return spent / self._budget.training_seconds
        return spent * len(complete) / sum(complete) if complete else 0.0

    def clock(self) -> float:
        """Seconds that the study has been searched, earlier runs included."""
        return self._clock_before + self._now() - self._started

    def time_is_up(self) -> bool:
        """Whether the budget's minutes are over."""
        return self._budget.minutes is not None and self.clock() >= 60 * self._budget.minutes

    def progress(self, running: list[Running], skipped: Mapping[str, int], slots: int) -> Progress:
        """How the search stands."""
        records = list(self.records.values())
        axes = self.study.axes
        states = [record.state for record in records]
        counts = {str(name): states.count(name) for name in ENDED}
        trained = sum(self.records[job.trial].state == State.RUNNING for job in running)
        counts |= {"running": len(running), "frozen": states.count(State.RUNNING) - trained}
        counts |= {"repeats": sum(max(0, record.trainings - 1) for record in records)}
        return Progress(
            counts=counts | dict(skipped),
            trials=self._budget.trials,
            front=self._front,
            axes=axes,
            hypervolume=hypervolume(losses(axes, [r.values for r in self._front if r.values])),
            running=running,
            training_seconds=sum(record.spent for record in records),
            clock_seconds=self.clock(),
            seconds_left=self._seconds_left(slots),
        )

    def _seconds_left(self, slots: int) -> float | None:
        """The sooner of two estimates: what the mean trial took times those to come, and what is left of the clock."""
        estimates = []
        if self._budget.minutes is not None:
            estimates.append(max(0.0, 60 * self._budget.minutes - self.clock()))
        ended = [record for record in self.records.values() if record.state in TRAINED]
        if self._budget.trials is not None and ended:
            each = sum(record.spent for record in ended) / len(ended)
            estimates.append(max(0, self._budget.trials - len(ended)) * each / slots)
        return min(estimates, default=None)

    def _write_repeat(self, number: int, repeat: Repeat) -> None:
        """Store how a trial's last repeat stands; one that has ended moves the trial's values."""
        record = self.records[number].with_repeat(repeat)
        self.study.note_repeat(number, len(record.repeats), repeat)
        self.records[number] = record

    def _remember(self, number: int, **changes: object) -> None:
        record, repeat = self.records[number], self.records[number].repeating
        if repeat is None:
            self.records[number] = replace(record, **changes)  # type: ignore[arg-type]  # fields of Record
        else:
            self.records[number] = record.with_repeat(replace(repeat, **changes))  # type: ignore[arg-type]  # of Repeat
