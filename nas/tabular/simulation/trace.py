"""Trace of a simulated search: the fronts that it would have returned, and its trials."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, final

from nas.study.progress import Progress
from nas.study.trial import Record, State


@dataclass(frozen=True)
class Snapshot:
    """State of a search at the moment a trial was complete, or a repeat changed the front.

    Attributes:
        training_seconds: seconds of training so far, summed over the slots.
        clock_seconds: seconds on the simulated clock.
        driver_seconds: processor seconds of the driver so far, the sampler included.
        front: identities of the architectures that the search would return.
    """

    training_seconds: float
    clock_seconds: float
    driver_seconds: float
    front: tuple[str, ...]


@dataclass(frozen=True)
class SimulatedTrial:
    """Outcome of one trial.

    Attributes:
        id: identity of its architecture.
        state: `complete`, `pruned`, or `running` if the budget ended first.
        epochs: number of epochs trained.
    """

    id: str
    state: State
    epochs: int


@dataclass(frozen=True)
class SearchTrace:
    """Trace of one simulated search.

    Attributes:
        seed: of the search.
        table_seed: world of the benchmark whose learning curves the search saw; of a table, its seed.
        reason: why the search ended.
        snapshots: in order of time.
        trials: in the order in which they were asked for.
        counts: asks without a trial, `rejected` and `duplicates`.
        judged: MACs and true error of returned networks that the benchmark's truth may lack, by identity.
    """

    seed: int
    table_seed: int
    reason: str
    snapshots: tuple[Snapshot, ...]
    trials: tuple[SimulatedTrial, ...]
    counts: Mapping[str, int]
    judged: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def driver_seconds(self) -> float:
        """Processor seconds of the driver until the last snapshot, the sampler included."""
        return self.snapshots[-1].driver_seconds if self.snapshots else 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the trace as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> SearchTrace:
        """Return the trace that `to_json` wrote."""
        snapshots = tuple(Snapshot(**{**each, "front": tuple(each["front"])}) for each in document["snapshots"])
        trials = tuple(SimulatedTrial(**{**trial, "state": State(trial["state"])}) for trial in document["trials"])
        return cls(**{**document, "snapshots": snapshots, "trials": trials})


@final
class TraceRecorder:
    """Observer that takes a snapshot whenever a trial is complete."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self._began = time.process_time()

    def on_progress(self, progress: Progress) -> None:
        """Take a snapshot if a repeat has changed the front."""
        if self.snapshots and self.snapshots[-1].front != _identities(progress):
            self._take_snapshot(progress)

    def on_trial(self, record: Record, progress: Progress) -> None:
        """Take a snapshot if the trial is complete."""
        if record.state == State.COMPLETE:
            self._take_snapshot(progress)

    def on_end(self, progress: Progress, reason: str) -> None:
        """Do nothing."""

    def _take_snapshot(self, progress: Progress) -> None:
        driver_seconds = time.process_time() - self._began
        self.snapshots.append(
            Snapshot(progress.training_seconds, progress.clock_seconds, driver_seconds, _identities(progress))
        )


def _identities(progress: Progress) -> tuple[str, ...]:
    return tuple(member.candidate.id for member in progress.front)
