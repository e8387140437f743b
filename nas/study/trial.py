"""Values of a study: candidates, trials, repeats and predictions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any

import optuna
from optuna.distributions import BaseDistribution

from nas.jobs import Curve, Epoch, Failure, curve_seconds
from nas.study.deferrable import Deferrable
from nas.study.training_state import TrainingState

Constraints = Mapping[str, float]
"""Excess over each limit, by the constraint's name; at most 0 if the limit is met."""


class State(StrEnum):
    """States of a trial; a frozen one is running."""

    RUNNING = "running"
    COMPLETE = "complete"
    PRUNED = "pruned"
    FAILED = "failed"
    WAITING = "waiting"


NO_ASK = -1
"""Ask of a trial that no ask of the search drew."""

ENDED = (State.COMPLETE, State.PRUNED, State.FAILED)


@dataclass(frozen=True)
class Rejected:
    """An ask whose network exceeded a limit.

    Attributes:
        ask: running number of the ask, from 0.
        params: values of the parameters, by path.
        distributions: distributions of the parameters, by path.
        constraints: excess over each limit, in the cost's unit.
        sampler_attrs: system attributes that the sampler set on its trial.
    """

    ask: int
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    constraints: Constraints
    sampler_attrs: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the ask as a JSON object."""
        return {
            "ask": self.ask,
            "params": dict(self.params),
            "distributions": {
                p: json.loads(optuna.distributions.distribution_to_json(d)) for p, d in self.distributions.items()
            },
            "constraints": dict(self.constraints),
            "sampler_attrs": dict(self.sampler_attrs),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Rejected:
        """Return the ask that `to_json` wrote."""
        distributions = {path: _distribution(json.dumps(found)) for path, found in document["distributions"].items()}
        return cls(**{**document, "distributions": distributions})


@lru_cache(4096)
def _distribution(text: str) -> BaseDistribution:
    return optuna.distributions.json_to_distribution(text)


@dataclass(frozen=True)
class Descent:
    """Trained network from which a new one inherits its first weights.

    Attributes:
        trial: number of its trial.
        changes: number of choices in which the two differ, at least 0.
        skips: epochs at the beginning of the schedule that the new one is spared, at least 1.
    """

    trial: int
    changes: int
    skips: int


@dataclass(frozen=True)
class Candidate(Deferrable):
    """A new architecture within the limits, with everything that is known before training.

    Attributes:
        ask: running number of the ask that drew it, from 0; `NO_ASK` for a trial of another program.
        params: values of the parameters, by path.
        distributions: distributions of the parameters, by path.
        architecture: its JSON form.
        id: identity of the architecture.
        network_id: identity of its network.
        summary: one readable line.
        costs: exact costs by name.
        seed: seed of its training.
        constraints: excess over each limit, at most 0 each.
        rejected: rejected asks since the last candidate that were told to the sampler.
        skipped: counts of all asks since the last candidate that led to none: `rejected`, `duplicates`.
        sampler_attrs: system attributes that the sampler set on its trial.
        inherits: network whose weights it was to start from, None for fresh weights.
        extrapolated: costs whose values are outside the range that a model was fitted on.
        imported: whether it was trained elsewhere: its result came from a file or from another program.
        trial: number of the waiting trial in which another program has enqueued it, None for a new trial.
    """

    ask: int
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    architecture: Mapping[str, Any]
    id: str
    network_id: str
    summary: str
    costs: Mapping[str, float]
    seed: int
    constraints: Constraints = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = field(default_factory=tuple)
    skipped: Mapping[str, int] = field(default_factory=dict)
    sampler_attrs: Mapping[str, Any] = field(default_factory=dict)
    inherits: Descent | None = None
    extrapolated: tuple[str, ...] = ()
    imported: bool = False
    trial: int | None = None


@dataclass(frozen=True)
class Repeat:
    """Further training of a complete trial's network, from scratch and with another seed.

    Attributes:
        seed: seed of the training.
        curve: learning curve so far.
        training: state of the training, as last stored.
        values: objectives by name, None unless it was trained in full.
        failure: reason of its failure.
    """

    seed: int
    curve: Curve = ()
    training: TrainingState = field(default_factory=TrainingState)
    values: Mapping[str, float] | None = None
    failure: Failure | None = None

    @property
    def open(self) -> bool:
        """True if it has neither been trained in full nor failed."""
        return self.values is None and self.failure is None

    @property
    def seconds(self) -> float:
        """Training seconds spent on it."""
        return curve_seconds(self.curve)

    def to_json(self) -> dict[str, Any]:
        """Return the repeat as a JSON object."""
        return {
            "seed": self.seed,
            "curve": [row.to_json() for row in self.curve],
            "training": self.training.to_json(),
            "values": None if self.values is None else dict(self.values),
            "failure": None if self.failure is None else self.failure.to_json(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Repeat:
        """Return the repeat that `to_json` wrote."""
        return cls(
            document["seed"],
            tuple(Epoch.from_json(row) for row in document["curve"]),
            TrainingState.from_json(document["training"]),
            document["values"],
            document["failure"] and Failure.from_json(document["failure"]),
        )


def running_mean(mean: Mapping[str, float], count: int, values: Mapping[str, float]) -> dict[str, float]:
    """Return the mean objectives of `count` trainings and of one more; equal values stay exact.

    >>> running_mean({"val_accuracy": 0.5, "memory_mib": 0.1}, 1, {"val_accuracy": 0.75, "memory_mib": 0.1})
    {'val_accuracy': 0.625, 'memory_mib': 0.1}
    """
    return {name: value + (values[name] - value) / (count + 1) for name, value in mean.items()}


@dataclass(frozen=True)
class Record(Deferrable):
    """One stored trial.

    Attributes:
        number: its number in the study.
        state: its state.
        candidate: its architecture, with everything that is known before training.
        curve: learning curve so far.
        training: state of its own training, as last stored.
        values: objectives by name, averaged over its trainings; None unless complete.
        failure: reason of its failure.
        repeats: further trainings of its network; only the last one may be open.
        own_values: objectives of its own training, None if it has no repeats.
    """

    number: int
    state: State
    candidate: Candidate
    curve: Curve
    training: TrainingState
    values: Mapping[str, float] | None
    failure: Failure | None
    repeats: tuple[Repeat, ...] = ()
    own_values: Mapping[str, float] | None = None

    @property
    def ended(self) -> bool:
        """True if it is complete, was pruned or failed."""
        return self.state in ENDED

    @cached_property
    def epochs(self) -> int:
        """Epochs of its own training; they take no time to count, as the rows of a stored curve do to be made."""
        return len(self.curve)

    @cached_property
    def seconds(self) -> float:
        """Seconds of its own training, without repeats."""
        return curve_seconds(self.curve)

    @property
    def spent(self) -> float:
        """Training seconds spent on it here, repeats included; 0 for a training elsewhere."""
        return sum((repeat.seconds for repeat in self.repeats), 0.0 if self.candidate.imported else self.seconds)

    @property
    def trainings(self) -> int:
        """Number of full trainings that its values are averaged over."""
        return sum((repeat.values is not None for repeat in self.repeats), int(self.values is not None))

    @property
    def all_trainings(self) -> tuple[Record | Repeat, ...]:
        """Its own training and its repeats."""
        return (self, *self.repeats)

    @property
    def repeating(self) -> Repeat | None:
        """Its open repeat, None if none is open."""
        return self.repeats[-1] if self.repeats and self.repeats[-1].open else None

    def with_repeat(self, repeat: Repeat) -> Record:
        """Return the record with one more repeat, or with its open one replaced; a complete one moves the values."""
        earlier = self.repeats[:-1] if self.repeating else self.repeats
        values = self.values
        if values is not None and repeat.values is not None:
            values = running_mean(values, self.trainings, repeat.values)
        return replace(self, values=values, repeats=(*earlier, repeat), own_values=self.own_values or self.values)

    def without_repeats(self) -> Record:
        """Return the record with the values of its own training alone."""
        return replace(self, values=self.own_values, repeats=(), own_values=None) if self.repeats else self

    @property
    def descent(self) -> Descent | None:
        """Network whose weights it starts from; None for fresh weights, or if its parent's could not be read."""
        return None if self.training.disinherited else self.candidate.inherits

    @property
    def full_seconds(self) -> float:
        """Seconds of a training over the whole schedule, extrapolated from those of its own epochs."""
        if self.descent is None or not self.curve:
            return self.seconds
        return self.seconds * (self.descent.skips + len(self.curve)) / len(self.curve)

    @property
    def goal(self) -> int | None:
        """Last epoch that its last job was to train; None for a first job, whose goal is not stored."""
        return self.training.to_epoch


@dataclass(frozen=True)
class Prospects:
    """Acquisition values of the next jobs: expected hypervolume improvement over a power of their seconds.

    Attributes:
        new: value of a new network, trained in full.
        frozen: value of training a frozen one to its end, by the trial's number.
    """

    new: float
    frozen: Mapping[int, float]


@dataclass(frozen=True)
class Expected:
    """Predicted result of a full training, for a trial without one.

    Attributes:
        values: objectives by name; costs among them are exact.
        deviation: standard deviation of the predicted objectives, positive.
        seconds: seconds of the full training, positive.
    """

    values: Mapping[str, float]
    deviation: float
    seconds: float


def in_order_of_ends(records: Iterable[Record]) -> list[Record]:
    """Return ended trials sorted by the search's clock at their end, those of one moment by their numbers."""
    return sorted(records, key=lambda record: (record.training.clock or 0.0, record.number))
