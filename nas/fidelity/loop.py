"""Fidelity policies in a plain Optuna study: ask for a training, report its epochs, and ask again.

The study holds everything: a trial that waits half trained is RUNNING, with its architecture, costs and learning curve
as user attributes. So a loop that is made again over a loaded study goes on where the last one ended. Checkpoints are
the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any, Protocol, final, runtime_checkable

import optuna
from optuna.trial import FrozenTrial, TrialState

from nas.config.fidelity import FidelitySpec
from nas.fidelity.factory import Horizon, policy_of
from nas.fidelity.policy import Inheriting, Prune, Standing, Start, Thaw
from nas.jobs import Curve, Epoch
from nas.objectives.pareto import Axis
from nas.objectives.requirements import Measure, exact_measure
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Expected, Prospects, Record, State
from search_space.architecture import Architecture
from search_space.lowering import summary

SECONDS = "seconds"
"""User attribute of a complete trial: seconds of its training, from which samplers may learn."""

_STATES = {
    TrialState.RUNNING: State.RUNNING,
    TrialState.COMPLETE: State.COMPLETE,
    TrialState.PRUNED: State.PRUNED,
    TrialState.FAIL: State.FAILED,
}

Define = Callable[[optuna.Trial], Architecture]
"""Makes the choices of a new trial, and returns its normalised architecture."""


@runtime_checkable
class ForesightedSampler(Protocol):
    """Sampler that takes predicted results, and compares its next draw with trials that wait half trained."""

    def expect(self, expected: Mapping[int, Expected]) -> None:
        """Take these predictions for the results of trials from now on, by their numbers."""
        ...

    def prospects(self, study: optuna.Study, left: Mapping[int, float]) -> Prospects | None:
        """Return the acquisition values of the next draw and of training frozen trials to their ends."""
        ...


@dataclass(frozen=True)
class Stretch:
    """Part of a training: train the architecture of a trial from one epoch to another.

    Attributes:
        trial: number of the trial.
        architecture: its architecture.
        from_epoch: epochs already trained, 0 for a new trial; the caller has a checkpoint of the last one.
        to_epoch: last epoch to train.
    """

    trial: int
    architecture: Architecture
    from_epoch: int
    to_epoch: int


@final
class FidelityLoop:
    """Ask-and-report loop over a plain Optuna study, in which a fidelity policy decides how far trials are trained.

    Several threads may share a loop, each with a stretch of its own.
    """

    def __init__(
        self,
        study: optuna.Study,
        define: Define,
        horizon: Horizon,
        *,
        trials: int,
        fidelity: FidelitySpec | None = None,
        measure: Measure | None = None,
    ) -> None:
        """Make a loop; unfinished trials of an earlier one go on first.

        Args:
            study: the study, with the directions of the horizon's axes.
            define: makes the choices of a new trial, and returns its architecture.
            horizon: full training and objectives; `horizon_of` makes one.
            trials: number of trials, those of earlier loops included, at least 1.
            fidelity: the policy and its options; None for freeze_thaw.
            measure: returns a network's identity and costs by name; None for exact params, macs and memory_mib.

        Raises:
            ValueError: a policy that repeats trainings or inherits weights, or other directions.
        """
        spec = fidelity or FidelitySpec("freeze_thaw")
        self._policy = policy_of(spec, horizon)
        if spec.repeats or isinstance(self._policy, Inheriting):
            raise ValueError(
                f"a loop trains every network once, from the start: it takes no repeats and not inherit, got {spec}"
            )
        found = [direction.name.lower() for direction in study.directions]
        if found != [axis.direction for axis in horizon.axes]:
            raise ValueError(f"a study's directions must be those of the axes, got {found}")
        if trials < 1:
            raise ValueError(f"trials must be at least 1, got {trials}")
        self._study, self._define, self._horizon, self._budget = study, define, horizon, trials
        self._measure = measure or exact_measure()
        self._running: dict[int, int] = {}
        self._candidates: dict[int, Candidate] = {}
        self._exhausted = False
        self._lock = RLock()

    def ask(self) -> Stretch | None:
        """Return what a free worker trains next, and prune what the policy gives up.

        Returns:
            None if there is nothing to do: until another worker reports, or for good if none is at work.
        """
        with self._lock:
            while True:
                match self._policy.decide(self._standing()):
                    case Start(to_epoch):
                        if (number := self._new_trial()) is not None:
                            return self._stretch(number, to_epoch)
                    case Thaw(number, to_epoch):
                        if len(self._records()[number].curve) < to_epoch:
                            return self._stretch(number, to_epoch)
                        self._complete(number)  # an earlier loop ended between the last report and the result
                    case Prune(number):
                        self._study.tell(number, state=TrialState.PRUNED)
                    case _:
                        return None

    def report(self, trial: int, row: Epoch) -> None:
        """Store an epoch of a stretch; after the last one of a full training, the trial is complete.

        Args:
            trial: number of the trial.
            row: the epoch, the next one of its curve.

        Raises:
            ValueError: the trial has no stretch at work, or it is another epoch's turn.
        """
        with self._lock:
            if trial not in self._running:
                raise ValueError(f"a trial must have been asked for before it is reported, trial {trial} was not")
            record = self._records()[trial]
            if row.epoch != len(record.curve) + 1:
                raise ValueError(f"epochs must be reported in order, got {row.epoch} after {len(record.curve)}")
            curve = (*record.curve, row)
            handle = self._handle(trial)
            handle.set_user_attr("curve", [row.to_json() for row in curve])
            if len(self._horizon.axes) == 1 and row.validated:
                handle.report(self._values(curve, record.candidate.costs)[0], row.epoch)
            if row.epoch == self._running[trial]:
                del self._running[trial]
            if row.epoch == self._horizon.epochs:
                self._complete(trial)

    def fail(self, trial: int) -> None:
        """End a trial whose training failed."""
        with self._lock:
            self._running.pop(trial, None)
            self._study.tell(trial, state=TrialState.FAIL)

    def _standing(self) -> Standing:
        records = self._records()
        waiting = [r for r in records.values() if r.state == State.RUNNING and r.number not in self._running]
        counted = sum(record.state != State.FAILED for record in records.values())
        may_start = counted < self._budget and not self._exhausted
        return Standing(records, waiting, may_start, prospects=self._prospects, running=self._running)

    def _prospects(self) -> Prospects | None:
        sampler, records = self._study.sampler, self._records()
        if not isinstance(sampler, ForesightedSampler):
            return None
        expected = self._policy.expected(records)
        sampler.expect(expected)
        frozen = [n for n in expected if records[n].state == State.RUNNING and n not in self._running]
        return sampler.prospects(self._study, {n: expected[n].seconds - records[n].seconds for n in frozen})

    def _new_trial(self) -> int | None:
        """Ask the study for a trial; return its number, None if the sampler has nothing new."""
        if isinstance(self._study.sampler, ForesightedSampler):
            self._study.sampler.expect(self._policy.expected(self._records()))
        trial = self._study.ask()
        try:
            architecture = self._define(trial)
        except optuna.TrialPruned:
            self._study.tell(trial.number, state=TrialState.PRUNED)
            self._exhausted = True
            return None
        except BaseException:
            self._study.tell(trial.number, state=TrialState.FAIL)
            raise
        network_id, costs = self._measure(architecture)
        trial.set_user_attr("network_id", network_id)
        trial.set_user_attr("costs", dict(costs))
        trial.set_user_attr("architecture", architecture.to_json())  # the last one: with it the trial is ours
        return trial.number

    def _stretch(self, number: int, to_epoch: int) -> Stretch:
        record = self._records()[number]
        self._handle(number).set_user_attr("to_epoch", to_epoch)
        self._running[number] = to_epoch
        architecture = Architecture.from_json(record.candidate.architecture)
        return Stretch(number, architecture, len(record.curve), to_epoch)

    def _complete(self, number: int) -> None:
        record = self._records()[number]
        self._handle(number).set_user_attr(SECONDS, record.seconds)
        self._study.tell(number, self._values(record.curve, record.candidate.costs))

    def _values(self, curve: Curve, costs: Mapping[str, float]) -> list[float]:
        values = self._horizon.values(curve, costs)
        return [values[axis.name] for axis in self._horizon.axes]

    def _handle(self, number: int) -> optuna.Trial:
        return optuna.Trial(self._study, self._study.get_trials(deepcopy=False)[number]._trial_id)

    def _records(self) -> dict[int, Record]:
        """Return the trials that a loop has made."""
        trials = self._study.get_trials(deepcopy=False)
        return {trial.number: self._record(trial) for trial in trials if "architecture" in trial.user_attrs}

    def _record(self, trial: FrozenTrial) -> Record:
        """Return a trial as policies see it."""
        if trial.number not in self._candidates:
            self._candidates[trial.number] = _candidate(trial)
        names = [axis.name for axis in self._horizon.axes]
        attrs: Mapping[str, Any] = trial.user_attrs
        return Record(
            number=trial.number,
            state=_STATES[trial.state],
            candidate=self._candidates[trial.number],
            curve=tuple(Epoch.from_json(row) for row in attrs.get("curve", ())),
            training=TrainingState(to_epoch=attrs.get("to_epoch")),
            values=dict(zip(names, trial.values, strict=True)) if trial.state == TrialState.COMPLETE else None,
            failure=None,
        )


def _candidate(trial: FrozenTrial) -> Candidate:
    attrs: Mapping[str, Any] = trial.user_attrs
    architecture = Architecture.from_json(attrs["architecture"])
    return Candidate(
        ask=trial.number,
        params=trial.params,
        distributions=trial.distributions,
        architecture=attrs["architecture"],
        id=architecture.id,
        network_id=attrs["network_id"],
        summary=summary(architecture),
        costs=attrs["costs"],
        seed=trial.number,
    )


def horizon_of(axes: Sequence[Axis], epochs: int) -> Horizon:
    """Return the horizon of a loop whose objectives are columns of the learning curve, and costs.

    Args:
        axes: the study's objectives, in order; named like a cost, or like a field of `nas.jobs.Epoch`.
        epochs: epochs of a full training, at least 1.
    """

    def values(curve: Curve, costs: Mapping[str, float]) -> dict[str, float]:
        known = {**curve[-1].to_json(), **costs}
        return {axis.name: float(known[axis.name]) for axis in axes}

    return Horizon(epochs, tuple(axes), values)
