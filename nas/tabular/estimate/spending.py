"""Simulation of a search that has not begun: how many trainings its budget buys, and how long that takes."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nas.config.budget import Budget
from nas.jobs import EndReason
from nas.search.build import SearchPlan, build_again
from nas.search.driver import Search
from nas.search.executors import allocation_of
from nas.search.ordered_executor import OrderedExecutor
from nas.search.parts import one_device
from nas.search.threads import single_threaded_blas
from nas.study.progress import Progress
from nas.study.time_left import full_training
from nas.study.trial import Record, State
from nas.tabular.estimate.worlds import Place, World, look_up
from nas.tabular.simulation.clock import SimulatedClock, poll_seconds
from nas.tabular.simulation.executor import TableExecutor
from nas.tabular.simulation.memory import study_in_memory

LEAST_TRIALS = 8
"""Trials that are simulated before a simulation may be cut short."""


@dataclass(frozen=True)
class Usual:
    """Predicted trainings of a space.

    Attributes:
        place: size, identity and epoch seconds of a network.
        training: seconds of a usual full training.
        job: seconds of a job beside its epochs.
        slots: trainings at once.
    """

    place: Place
    training: float
    job: float
    slots: int


@dataclass(frozen=True)
class Spending:
    """Course of a simulated search.

    Attributes:
        seconds: seconds on the clock from the first network asked for to the end.
        trials: trials complete or pruned.
        trainings: training time in full trainings.
        training_seconds: training time.
        front: architectures of the front, in JSON form.
        running: trials that ran or waited frozen at once, at most.
        simulated: trials that were simulated; fewer than `trials` if the rest was extrapolated.
        reason: reason of the end.
    """

    seconds: float
    trials: int
    trainings: float
    training_seconds: float
    front: tuple[Mapping[str, Any], ...]
    running: int
    simulated: int
    reason: str


@dataclass(frozen=True)
class Mark:
    """Moment of a simulated search: its clock, trials ended, and training seconds."""

    clock: float
    trials: int
    spent: float


class Course:
    """Observer that marks the end of each trial, and stops a simulation that takes too long."""

    def __init__(self, longest: float) -> None:
        """Begin.

        Args:
            longest: real seconds after which the simulation is stopped.
        """
        self.marks = [Mark(0.0, 0, 0.0)]
        self.running = 0
        self.cut = False
        self._until = time.monotonic() + longest
        self._search: Search | None = None

    def watch(self, search: Search) -> None:
        """Stop this search when the time is over."""
        self._search = search

    def on_progress(self, progress: Progress) -> None:
        """Note the trials that have not ended."""
        self.running = max(self.running, progress.counts["running"] + progress.counts["frozen"])

    def on_trial(self, record: Record, progress: Progress) -> None:  # noqa: ARG002 - an observer's signature
        """Mark the end of a trial."""
        ended = progress.counts["complete"] + progress.counts["pruned"]
        self.marks.append(Mark(progress.clock_seconds, ended, progress.training_seconds))
        if ended >= LEAST_TRIALS and time.monotonic() > self._until and self._search is not None and not self.cut:
            self.cut = True
            self._search.stop(EndReason.STOPPED, at_once=True)

    def on_end(self, progress: Progress, reason: str) -> None:  # noqa: ARG002 - an observer's signature
        """Mark the end."""
        ended = progress.counts["complete"] + progress.counts["pruned"]
        self.marks.append(Mark(progress.clock_seconds, ended, progress.training_seconds))


def simulate(plan: SearchPlan, world: World, usual: Usual, longest: float) -> Spending:
    """Simulate the search of a plan in a world.

    Args:
        plan: the search.
        world: rule of the accuracies.
        usual: predicted trainings.
        longest: real seconds, positive, after which the rest is extrapolated from the later half.
    """
    config, epochs = plan.config, plan.config.training.epochs
    built = build_again(plan)
    clock, course = SimulatedClock(thinking=True), Course(longest)
    curves = look_up(world, usual.place, epochs, config.training.validate_every)
    executor = TableExecutor(curves, clock, usual.slots, usual.job)
    study = study_in_memory(built.axes)
    study.believer = built.believer
    one = config.workers.devices_per_trial == 1
    ordered = OrderedExecutor(executor) if config.deterministic else executor
    parts = replace(
        built.parts(study, ordered, executor.latest),
        observers=[course],
        clock=clock,
        poll_seconds=poll_seconds(config.budget, usual.training / epochs),
        devices=one_device if one else allocation_of(config.training, config.workers),
    )
    search = Search(parts, replace(config.budget, min_gain=None), epochs=epochs, retries=0)
    course.watch(search)
    with single_threaded_blas():
        reason = search.run()
    unit = full_training(study.records(), config.budget) or usual.training
    budget = replace(config.budget, training_seconds=unit)
    end = extrapolated(course.marks, budget) if course.cut else course.marks[-1]
    front = tuple(record.candidate.architecture for record in search.progress().front)
    simulated = sum(record.state in (State.COMPLETE, State.PRUNED) for record in study.records())
    return Spending(end.clock, end.trials, end.spent / unit, end.spent, front, course.running, simulated, str(reason))


def extrapolated(marks: Sequence[Mark], budget: Budget) -> Mark:
    """Return the end of a search that was simulated in part, at the pace of the later half.

    >>> half = [Mark(0.0, 0, 0.0), Mark(30.0, 5, 20.0), Mark(50.0, 10, 40.0)]
    >>> extrapolated(half, Budget(trials=20, training_seconds=4.0))
    Mark(clock=90.0, trials=20, spent=80.0)
    """
    last = marks[-1]
    middle = marks[min(bisect_left([mark.trials for mark in marks], last.trials // 2), len(marks) - 2)]
    span = max(1e-9, last.clock - middle.clock)
    trials, spent = (last.trials - middle.trials) / span, (last.spent - middle.spent) / span
    ends = [60.0 * budget.minutes] if budget.minutes is not None else []
    if budget.trials is not None and trials > 0:
        ends.append(last.clock + (budget.trials - last.trials) / trials)
    if budget.trainings is not None and budget.training_seconds is not None and spent > 0:
        ends.append(last.clock + (budget.trainings * budget.training_seconds - last.spent) / spent)
    end = max(last.clock, min(ends, default=last.clock))
    more = end - last.clock
    return Mark(end, last.trials + round(trials * more), last.spent + spent * more)
