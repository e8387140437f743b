"""One rehearsal: a whole search over a table, and the trace of what it would have returned when."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, final

from nas.fidelity.policy import Inheriting
from nas.jobs import Curve, curve_seconds
from nas.objectives.values import objective_values
from nas.search.driver import Parts, Search
from nas.search.strategy import Strategy, asking, axes_of, policy
from nas.study.progress import Progress
from nas.study.trial import Record, State
from nas.tabular.simulation.clock import SimulatedClock
from nas.tabular.simulation.executor import Answer, TableExecutor
from nas.tabular.simulation.memory import study_in_memory
from nas.tabular.table import Entry, Table
from search_space.identity import canonical_json

CHARGES = ("seconds", "cpu_seconds")
POLLS_AN_EPOCH = 4


@dataclass(frozen=True)
class Step:
    """A moment at which a trial was complete.

    Attributes:
        seconds: seconds of training by then, over all slots.
        clock: what the simulated clock showed.
        thinking: processor seconds that the driver had thought by then, the sampler included.
        front: identities of the architectures that the search would have returned.
    """

    seconds: float
    clock: float
    thinking: float
    front: tuple[str, ...]


@dataclass(frozen=True)
class Trained:
    """What became of one trial.

    Attributes:
        id: identity of its architecture.
        state: `complete`, `pruned`, or `running` where the budget ended first.
        epochs: epochs that were trained.
    """

    id: str
    state: State
    epochs: int


@dataclass(frozen=True)
class Trace:
    """What one rehearsal did.

    Attributes:
        seed: of the search.
        table_seed: whose learning curves the search saw.
        reason: why it ended.
        steps: the moments at which a trial was complete, in order.
        trials: the trials, in the order in which they were asked for.
        counts: asks that led to no trial, `rejected` and `duplicates`.
    """

    seed: int
    table_seed: int
    reason: str
    steps: tuple[Step, ...]
    trials: tuple[Trained, ...]
    counts: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        """The trace as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Trace:
        """The trace that `to_json` wrote."""
        steps = tuple(Step(**{**step, "front": tuple(step["front"])}) for step in document["steps"])
        trials = tuple(Trained(**{**trial, "state": State(trial["state"])}) for trial in document["trials"])
        return cls(**{**document, "steps": steps, "trials": trials})


@dataclass(frozen=True)
class Stage:
    """A table, and how it is played.

    Attributes:
        table: the recorded trainings.
        slots: simulated slots, at least 1.
        charge: what an epoch costs on the simulated clock: `seconds`, as recorded, or `cpu_seconds`.
    """

    table: Table
    slots: int = 1
    charge: str = "seconds"

    def __post_init__(self) -> None:
        if self.slots < 1:
            raise ValueError(f"slots must be at least 1, got {self.slots}")
        if self.charge not in CHARGES:
            raise ValueError(f"charge must be one of {', '.join(CHARGES)}, got {self.charge!r}")

    def curve(self, entry: Entry, seed: int) -> Curve:
        """The recorded curve of an architecture, with the seconds that are charged."""
        curve = entry.curves[seed]
        if self.charge == "seconds":
            return curve
        return tuple(replace(row, seconds=spent) for row, spent in zip(curve, entry.cpu_seconds[seed], strict=True))

    def training_seconds(self, entry: Entry) -> float:
        """Mean over the seeds of what a full training of an architecture is charged."""
        totals = [curve_seconds(self.curve(entry, seed)) for seed in self.table.seeds]
        return math.fsum(totals) / len(totals)

    def full_training(self) -> float:
        """Mean of what a full training is charged, over all architectures and seeds: one full-training equivalent."""
        entries = self.table.entries.values()
        return math.fsum(self.training_seconds(entry) for entry in entries) / len(entries)


@final
class Tracer:
    """Notes what the search would return whenever a trial is complete."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._began = time.process_time()

    def on_progress(self, progress: Progress) -> None:
        """Note the front where a repeat has changed it."""
        if self.steps and self.steps[-1].front != _identities(progress):
            self._note(progress)

    def on_trial(self, record: Record, progress: Progress) -> None:
        """Note the front, for a complete trial."""
        if record.state == State.COMPLETE:
            self._note(progress)

    def on_end(self, progress: Progress, reason: str) -> None:
        """Nothing."""

    def _note(self, progress: Progress) -> None:
        thinking = time.process_time() - self._began
        self.steps.append(Step(progress.training_seconds, progress.clock_seconds, thinking, _identities(progress)))


def _identities(progress: Progress) -> tuple[str, ...]:
    return tuple(member.candidate.id for member in progress.front)


def answers(stage: Stage, table_seed: int) -> Answer:
    """The recorded curves of a table, by an architecture in JSON form: of one seed, and of the next for a repeat."""
    seeds = stage.table.seeds
    first = seeds.index(table_seed)
    entries = {canonical_json(entry.architecture.to_json()): entry for entry in stage.table.entries.values()}

    def answer(architecture: Mapping[str, object], repeat: int) -> Curve:
        entry = entries.get(canonical_json(dict(architecture)))
        if entry is None:
            raise ValueError(f"an architecture must be in the table {stage.table.path}, got {dict(architecture)}")
        return stage.curve(entry, seeds[(first + repeat) % len(seeds)])

    return answer


def play(strategy: Strategy, stage: Stage) -> Trace:
    """Rehearse one search, with the driver, the samplers and the policies of a real one.

    The search sees the trainings of one seed of the table, which follows from its own seed, so that over several
    rehearsals none of the table's seeds is favoured. `budget.trainings` counts full trainings of the table's mean.

    Raises:
        ValueError: no such sampler or fidelity, a budget that nothing ends, or more repeats than the table has seeds.
    """
    table = stage.table
    if strategy.fidelity.repeats >= len(table.seeds):
        raise ValueError(
            f"fidelity.repeats must be below the number of seeds of the table, each training being one of them, "
            f"got {strategy.fidelity.repeats} and {len(table.seeds)} in {table.path}"
        )
    table_seed = table.seeds[strategy.seed % len(table.seeds)]
    axes = axes_of(strategy.objective, table.space)
    chosen = policy(strategy, axes, table.epochs)
    if isinstance(chosen, Inheriting):
        raise ValueError(  # noqa: TRY004 - what a person asked for, not a call
            "a rehearsal plays trainings from fresh weights, as tables record them, "
            f"got fidelity={strategy.fidelity.name}"
        )
    clock, tracer = SimulatedClock(), Tracer()
    full = stage.full_training()
    executor = TableExecutor(answers(stage, table_seed), clock, stage.slots)
    view, proposer = asking(strategy, table.space, axes, None)
    parts = Parts(
        study=study_in_memory(axes),
        view=view,
        proposer=proposer,
        policy=chosen,
        executor=executor,
        values=partial(objective_values, strategy.objective),
        latest=executor.latest,
        observers=[tracer],
        clock=clock,
        poll_seconds=math.inf if strategy.budget.minutes is None else full / table.epochs / POLLS_AN_EPOCH,
    )
    search = Search(parts, replace(strategy.budget, training_seconds=full), epochs=table.epochs, retries=0)
    reason = str(search.run())
    records = parts.study.records()
    return Trace(
        seed=strategy.seed,
        table_seed=table_seed,
        reason=reason,
        steps=tuple(tracer.steps),
        trials=tuple(Trained(r.candidate.id, r.state, len(r.curve)) for r in records),
        counts=dict(proposer.totals),
    )
