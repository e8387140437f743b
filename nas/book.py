"""The driver's account of its study: every trial in memory, every change of one written to the study first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from nas.clock import Clock
from nas.fidelity.policy import Standing
from nas.jobs import Curve, Failure
from nas.pareto import hypervolume, losses
from nas.progress import Progress, Running
from nas.reader import front_records, spent_clock
from nas.records import Candidate, Prospects, Record
from nas.specs import Budget
from nas.stopping import gain_an_hour
from nas.study import Study

COUNTED = ("complete", "pruned", "running")
ENDED = ("complete", "pruned")


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
        self.records[number] = Record(number, "running", candidate, (), {"attempt": 0}, None, None)
        return number

    def next_attempt(self, number: int, to_epoch: int, devices: int) -> int:
        """Number of the next attempt at a trial, stored where an earlier one may have left files.

        With it goes where it is to end and over how many devices it is trained. A stored trial without a word about its
        training had a first attempt whose driver was killed.
        """
        training = self.records[number].training
        attempt = int(training.get("attempt", 1)) + 1
        words = {"attempt": attempt, "to_epoch": to_epoch, "devices": devices}
        self._remember(number, training=words if attempt == 1 else {**training, **words})
        if attempt > 1:
            self.note(number, self.records[number].curve, frozen=False)
        return attempt

    def micro_batches(self, number: int) -> int:
        """Parts that the batches of a trial are cut into."""
        return int(self.records[number].training.get("micro_batches", 1))

    def halve_batches(self, number: int) -> None:
        """Cut the batches of a trial into twice as many parts from now on, and mark the trial: batch norm notices."""
        training = self.records[number].training
        self._remember(number, training={**training, "micro_batches": 2 * self.micro_batches(number)})

    def retry(self, number: int, kind: str) -> None:
        """Store that a trial is tried again after a failure of this kind."""
        retries = Counter(self.records[number].training.get("retries", {}))
        retries[kind] += 1
        self.note(number, self.records[number].curve, retries=dict(retries))

    def see(self, number: int, curve: Curve) -> None:
        """Keep a running trial's curve in mind, without storing it."""
        self._remember(number, curve=curve)

    def note(self, number: int, curve: Curve, *, checkpoint: Path | None = None, **fields: object) -> None:
        """Store how far a trial has come."""
        training = {**self.records[number].training, **fields, "epochs": len(curve), "clock": self.clock()}
        training["seconds"] = sum(row.seconds for row in curve)
        if checkpoint:
            training["checkpoint"] = str(checkpoint.relative_to(self.study.folder))
        self.study.note(number, curve, training)
        self._remember(number, curve=curve, training=training)

    def complete(self, number: int, values: Mapping[str, float]) -> None:
        """End a trial that was trained in full."""
        self.study.tell(number, values)
        self._remember(number, state="complete", values=values)
        self._front = front_records([*self._front, self.records[number]], self.study.axes)

    def prune(self, number: int) -> None:
        """End a trial that is given up."""
        self.study.prune(number)
        self._remember(number, state="pruned")

    def fail(self, number: int, failure: Failure) -> None:
        """End a trial that failed."""
        self.study.fail(number, failure)
        self._remember(number, state="failed", failure=failure)

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
            waiting=[r for r in self.records.values() if r.state == "running" and r.number not in running],
            may_start=not exhausted and self.may_start(),
            trainings_left=None if budget.trainings is None else max(0.0, budget.trainings - self.trainings()),
            seconds_left=None if budget.minutes is None else max(0.0, 60 * budget.minutes - self.clock()),
            prospects=prospects,
        )

    def folder(self, number: int) -> Path:
        """Where a trial's checkpoints and log are."""
        return self.study.trial_folder(number)

    def converged(self) -> bool:
        """Whether an hour of training gains less than the budget asks for."""
        if self._budget.min_gain is None:
            return False
        gain = gain_an_hour(list(self.records.values()), self.study.axes, self._budget.patience)
        return gain is not None and gain < self._budget.min_gain

    def ending(self) -> str:
        """Why nothing new may start."""
        return "converged" if self.converged() else "budget"

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
        complete = [record.seconds for record in self.records.values() if record.state == "complete"]
        spent = sum(record.seconds for record in self.records.values())
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
        counts = {name: states.count(name) for name in ("complete", "pruned", "failed")}
        counts |= {"running": len(running), "frozen": states.count("running") - len(running)}
        return Progress(
            counts=counts | dict(skipped),
            trials=self._budget.trials,
            front=self._front,
            axes=axes,
            hypervolume=hypervolume(losses(axes, [r.values for r in self._front if r.values])),
            running=running,
            training_seconds=sum(record.seconds for record in records),
            clock_seconds=self.clock(),
            seconds_left=self._seconds_left(slots),
        )

    def _seconds_left(self, slots: int) -> float | None:
        """The sooner of two estimates: what the mean trial took times those to come, and what is left of the clock."""
        estimates = []
        if self._budget.minutes is not None:
            estimates.append(max(0.0, 60 * self._budget.minutes - self.clock()))
        ended = [record for record in self.records.values() if record.state in ENDED]
        if self._budget.trials is not None and ended:
            each = sum(record.seconds for record in ended) / len(ended)
            estimates.append(max(0, self._budget.trials - len(ended)) * each / slots)
        return min(estimates, default=None)

    def _remember(self, number: int, **changes: object) -> None:
        self.records[number] = replace(self.records[number], **changes)  # type: ignore[arg-type]  # fields of Record
