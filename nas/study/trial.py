"""What a study remembers of a trial, as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import optuna
from optuna.distributions import BaseDistribution

from nas.jobs import Curve, Epoch, Failure

Constraints = Mapping[str, float]


@dataclass(frozen=True)
class Rejected:
    """An ask that broke a limit.

    Attributes:
        ask: running number of the ask.
        params: what was chosen, by path.
        distributions: what could be chosen, by path, as Optuna writes it.
        constraints: by how much each limit is exceeded; at most 0 where it is met.
        sampler_attrs: what the sampler noted on its trial.
    """

    ask: int
    params: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]
    constraints: Constraints
    sampler_attrs: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The ask as a JSON object."""
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
        """The ask that `to_json` wrote."""
        distributions = {
            path: optuna.distributions.json_to_distribution(json.dumps(text))
            for path, text in document["distributions"].items()
        }
        return cls(**{**document, "distributions": distributions})


@dataclass(frozen=True)
class Descent:
    """Which trained network a new one takes its first weights from.

    Attributes:
        trial: its number.
        changes: choices that set the two apart, at least 0.
        skips: epochs at the beginning of the schedule that the new one is spared, at least 1.
    """

    trial: int
    changes: int
    skips: int


@dataclass(frozen=True)
class Candidate:
    """An architecture that was asked for and passed the gate: everything about it that is known before training.

    Attributes:
        ask: running number of the ask that drew it.
        params: what was chosen, by path.
        distributions: what could be chosen, by path.
        architecture: its JSON form.
        id: identity of the architecture.
        network_id: identity of its network.
        summary: one readable line.
        costs: `params`, `macs`, `memory_mib`.
        seed: seed of its training.
        constraints: by how much each limit is exceeded, at most 0 each.
        rejected: the rejected asks since the last candidate that the sampler was told of.
        skipped: counts of all asks since the last candidate that led to none: `rejected`, `duplicates`.
        sampler_attrs: what the sampler noted on its trial.
        inherits: whose weights it was to start from, None for fresh ones.
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
    rejected: tuple[Rejected, ...] = ()
    skipped: Mapping[str, int] = field(default_factory=dict)
    sampler_attrs: Mapping[str, Any] = field(default_factory=dict)
    inherits: Descent | None = None


@dataclass(frozen=True)
class Repeat:
    """One more training of a complete trial's network, from scratch and with another seed.

    Attributes:
        seed: seed of the training.
        curve: its learning curve so far.
        training: attempt, checkpoint, seconds and clock, as last written.
        values: the objectives that it came to, None unless it was trained in full.
        failure: why it failed.
    """

    seed: int
    curve: Curve = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, float] | None = None
    failure: Failure | None = None

    @property
    def open(self) -> bool:
        """Whether it has neither been trained in full nor failed."""
        return self.values is None and self.failure is None

    @property
    def seconds(self) -> float:
        """Training seconds spent on it."""
        return sum(row.seconds for row in self.curve)

    def to_json(self) -> dict[str, Any]:
        """The repeat as a JSON object."""
        return {
            "seed": self.seed,
            "curve": [row.to_json() for row in self.curve],
            "training": dict(self.training),
            "values": None if self.values is None else dict(self.values),
            "failure": None if self.failure is None else asdict(self.failure),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Repeat:
        """The repeat that `to_json` wrote."""
        return cls(
            document["seed"],
            tuple(Epoch.from_json(row) for row in document["curve"]),
            document["training"],
            document["values"],
            document["failure"] and Failure(**document["failure"]),
        )


def joined(mean: Mapping[str, float], count: int, values: Mapping[str, float]) -> dict[str, float]:
    """The mean of `count` trainings' objectives and of one more; what is the same in all of them stays exact.

    >>> joined({"val_accuracy": 0.5, "memory_mib": 0.1}, 1, {"val_accuracy": 0.75, "memory_mib": 0.1})
    {'val_accuracy': 0.625, 'memory_mib': 0.1}
    """
    return {name: value + (values[name] - value) / (count + 1) for name, value in mean.items()}


@dataclass(frozen=True)
class Record:
    """One stored trial.

    Attributes:
        number: its number in the study.
        state: `running`, `complete`, `pruned` or `failed`.
        candidate: what was asked for.
        curve: its learning curve so far.
        training: attempt, checkpoint, seconds and clock, as last written.
        values: its objectives by name, the means over its trainings; None unless complete.
        failure: why it failed.
        repeats: its network's further trainings; only the last one may be open.
        told: what its own training came to, None where it has no repeats.
    """

    number: int
    state: str
    candidate: Candidate
    curve: Curve
    training: Mapping[str, Any]
    values: Mapping[str, float] | None
    failure: Failure | None
    repeats: tuple[Repeat, ...] = ()
    told: Mapping[str, float] | None = None

    @property
    def seconds(self) -> float:
        """Seconds of its own training, without repeats."""
        return sum(row.seconds for row in self.curve)

    @property
    def spent(self) -> float:
        """Training seconds spent on it, repeats included."""
        return sum((repeat.seconds for repeat in self.repeats), self.seconds)

    @property
    def trainings(self) -> int:
        """How many full trainings its values are the mean of."""
        return sum((repeat.values is not None for repeat in self.repeats), int(self.values is not None))

    @property
    def all_trainings(self) -> tuple[Record | Repeat, ...]:
        """Its own training and its repeats."""
        return (self, *self.repeats)

    @property
    def repeating(self) -> Repeat | None:
        """Its open repeat."""
        return self.repeats[-1] if self.repeats and self.repeats[-1].open else None

    def with_repeat(self, repeat: Repeat) -> Record:
        """The record with one more repeat, or with its open one replaced; a finished one moves the values."""
        earlier = self.repeats[:-1] if self.repeating else self.repeats
        values = self.values
        if values is not None and repeat.values is not None:
            values = joined(values, self.trainings, repeat.values)
        return replace(self, values=values, repeats=(*earlier, repeat), told=self.told or self.values)

    def as_told(self) -> Record:
        """The record as it was when the trial ended, before any repeat."""
        return replace(self, values=self.told, repeats=(), told=None) if self.repeats else self

    @property
    def descent(self) -> Descent | None:
        """Whose weights it starts from; None for fresh ones, and where those of its parent could not be read."""
        return None if self.training.get("disinherited") else self.candidate.inherits

    @property
    def full_seconds(self) -> float:
        """Seconds that its training would have taken from the beginning of the schedule, by those of its own epochs."""
        if self.descent is None or not self.curve:
            return self.seconds
        return self.seconds * (self.descent.skips + len(self.curve)) / len(self.curve)

    @property
    def goal(self) -> int | None:
        """The epoch that its last job was to reach; None for a first job, whose goal is not stored."""
        goal = self.training.get("to_epoch")
        return None if goal is None else int(goal)


@dataclass(frozen=True)
class Prospects:
    """What the next jobs promise, all on one scale: expected hypervolume improvement for a second, to some power.

    Attributes:
        new: of a new network, trained in full.
        frozen: of going on with a frozen one to its end, by the trial's number.
    """

    new: float
    frozen: Mapping[int, float]


@dataclass(frozen=True)
class Expected:
    """What a full training of a trial that had none is predicted to come to.

    Attributes:
        values: its objectives by name; costs among them are exact.
        deviation: standard deviation of the objectives that are predicted, positive.
        seconds: that a full training takes in all, positive.
    """

    values: Mapping[str, float]
    deviation: float
    seconds: float
