"""What a study remembers of a trial, as values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution

from nas.jobs import Curve, Failure

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


@dataclass(frozen=True)
class Record:
    """One stored trial.

    Attributes:
        number: its number in the study.
        state: `running`, `complete`, `pruned` or `failed`.
        candidate: what was asked for.
        curve: its learning curve so far.
        training: attempt, checkpoint, seconds and clock, as last written.
        values: its objectives by name, None unless complete.
        failure: why it failed.
    """

    number: int
    state: str
    candidate: Candidate
    curve: Curve
    training: Mapping[str, Any]
    values: Mapping[str, float] | None
    failure: Failure | None

    @property
    def seconds(self) -> float:
        """Training seconds spent on it."""
        return sum(row.seconds for row in self.curve)

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
