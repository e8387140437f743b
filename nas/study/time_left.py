"""Estimate of the clock seconds until the budget of a search is used up.

Trials are begun at a pace that the later half of those so far shows: it counts all that takes time on the way, waiting,
starts of processes, continued trials and repeats. Once the last one has begun, the running ones are still to end.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import fmean
from typing import final

from nas.config.budget import Budget
from nas.study.progress import Running
from nas.study.trial import Record, State

COUNTED = (State.COMPLETE, State.PRUNED, State.RUNNING)

LEAST_LATER = 4
"""Trials, at least, over which the seconds of a trial are averaged."""

PRIOR_TRIALS = 1.0
"""Trials at the pace of full slots that count beside those of this run, so that its first seconds tell little."""

MOST_WASTE = 3.0
"""Largest factor between the seconds of a slot and those of training in it that is believed."""


def trainings_used(records: Iterable[Record], budget: Budget) -> float:
    """Return the training so far in full-training equivalents: its seconds over those of a full training."""
    trials = list(records)
    spent, unit = sum(record.spent for record in trials), full_training(trials, budget)
    return spent / unit if unit else 0.0


def full_training(records: Iterable[Record], budget: Budget) -> float | None:
    """Return the seconds of a full training: the budget's own, or the mean of those so far; None before the first."""
    if budget.training_seconds is not None:
        return budget.training_seconds
    trained = (record for record in records if record.state == State.COMPLETE and not record.candidate.imported)
    complete = [record.seconds for record in trained if record.descent is None]
    return fmean(complete) if sum(complete) else None


@dataclass(frozen=True)
class Mark:
    """Moment at which a trial was begun.

    Attributes:
        clock: seconds for which the study had been searched.
        begun: number of trials begun until then, this one included.
        spent: training seconds until then.
    """

    clock: float
    begun: int
    spent: float


@final
class TimeLeft:
    """Estimator of one run of a search."""

    def __init__(self, budget: Budget) -> None:
        """Begin before the first epoch of the run.

        Args:
            budget: totals over all runs of the study.
        """
        self._budget = budget
        self._marks: list[Mark] = []

    def seconds(self, records: Sequence[Record], running: Sequence[Running], slots: int, clock: float) -> float | None:
        """Return the least time that a criterion of the budget leaves, None while nothing is known.

        Args:
            records: all trials.
            running: the running jobs.
            slots: number of slots, at least 1.
            clock: seconds for which the study has been searched.
        """
        budget, found = self._budget, list[float]()
        if budget.minutes is not None:
            found.append(max(0.0, 60 * budget.minutes - clock))
        own = [record for record in records if not record.candidate.imported]
        now = Mark(clock, sum(record.state in COUNTED for record in own), sum(record.spent for record in own))
        if not self._marks or now.begun > self._marks[-1].begun:
            self._marks.append(now)
        lengths = _lengths(own, {job.trial for job in running})
        if lengths:
            pace = self._pace(now, slots, fmean(lengths))
            last = pace.slot_seconds * _drain(lengths, slots)
            rest = pace.slot_seconds * max((_rest(job, fmean(lengths)) for job in running), default=0.0)
            if budget.trials is not None:
                new = max(0, budget.trials - now.begun)
                waiting = max(0, new - max(0, slots - len(running)))  # the others begin at once
                found.append(max(rest, waiting * pace.trial_seconds + last) if new else rest)
            unit = full_training(own, budget)
            if budget.trainings is not None and unit is not None:
                left = max(0.0, budget.trainings * unit - now.spent)
                found.append(max(rest, left * pace.slot_seconds / slots + last * slots / (slots + 1)) if left else rest)
        return min(found, default=None)

    def _pace(self, now: Mark, slots: int, each: float) -> Pace:
        """Return the pace since half of the trials were begun, the first of each slot left out."""
        first = self._marks[0].begun + slots
        since = self._marks[min(bisect_left(self._marks, max(first, now.begun // 2), key=_BEGUN), len(self._marks) - 1)]
        begun, clock, spent = now.begun - since.begun, now.clock - since.clock, now.spent - since.spent
        if begun <= 0:
            return Pace(each / slots, 1.0)
        waste = (slots * clock + PRIOR_TRIALS * each) / (spent + PRIOR_TRIALS * each)
        trial = (clock + PRIOR_TRIALS * each / slots) / (begun + PRIOR_TRIALS)
        return Pace(trial, min(MOST_WASTE, max(1.0, waste)))


@dataclass(frozen=True)
class Pace:
    """Pace of a search.

    Attributes:
        trial_seconds: seconds on the clock from the beginning of one trial to that of the next.
        slot_seconds: seconds of a slot for one of training in it, at least 1.
    """

    trial_seconds: float
    slot_seconds: float


_BEGUN = attrgetter("begun")


def _drain(lengths: Sequence[float], slots: int) -> float:
    """Return the training seconds from the beginning of the last trial to the end of the search.

    The last trial takes its mean time. The others that run then are longer than the mean, since long ones run at more
    moments, and are somewhere within.
    """
    biased = sum(length * length for length in lengths) / sum(lengths)
    return max(fmean(lengths), biased * (slots - 1) / slots)


def _lengths(own: Sequence[Record], running: set[int]) -> list[float]:
    """Return the seconds of the trials that do not run now, over their later half."""
    ended = [record for record in own if record.number not in running and record.state in COUNTED]
    lengths = [record.spent for record in ended if record.epochs]
    return lengths[-max(LEAST_LATER, (len(lengths) + 1) // 2) :] if sum(lengths) else []


def _rest(job: Running, each: float) -> float:
    """Return the training seconds that a running job still takes."""
    left = max(0, job.to_epoch - job.epoch)
    if job.curve:
        return left * fmean(row.seconds for row in job.curve)
    return each * left / max(1, job.to_epoch)


def share_of_trials(records: Iterable[Record], trials: int, epochs: int | None = None) -> float:
    """Return the share of a budget of trials that is done, at most 1.

    Args:
        records: the trials; those trained elsewhere do not count.
        trials: the budget, at least 1.
        epochs: epochs of a full training, by which trials that have not ended count in part; None counts them as 0.
    """
    own = [record for record in records if not record.candidate.imported]
    done = float(sum(record.state in (State.COMPLETE, State.PRUNED) for record in own))
    if epochs:
        done += sum(record.epochs / epochs for record in own if record.state == State.RUNNING)
    return min(1.0, done / trials)
