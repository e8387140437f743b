"""Fronts that a search would have returned, chosen from its raw list as the program chooses those of its studies."""

from __future__ import annotations

import itertools

from harness.networks import Networks
from harness.raw import RawSearch, Training
from nas.config.objective import Objective
from nas.objectives.axes import axes_of
from nas.objectives.values import cost_names, objective_values
from nas.study.belief.stored import believer_for
from nas.study.training_state import TrainingState
from nas.study.trial import Record, State
from nas.tabular.simulation.benchmark import Benchmark
from nas.tabular.simulation.trace import SearchTrace, SimulatedTrial, Snapshot


def trace_of(raw: RawSearch, simulated: Benchmark, objectives: tuple[Objective, ...]) -> SearchTrace:
    """Return the trace of a peer's search, with a front whenever a network was trained in full.

    Args:
        raw: the search.
        simulated: its benchmark.
        objectives: objectives of the front, as in the program's own simulated searches.
    """
    axes = axes_of(objectives, simulated.space)
    believer = believer_for(simulated.space, axes, cost_names(objectives), simulated.validation_images)
    records: dict[str, Record] = {}
    snapshots = []
    spent = itertools.accumulate(training.seconds for training in raw.trainings)
    recorder = _Recorder(raw, simulated, objectives)
    for training, seconds in zip(raw.trainings, spent, strict=True):
        number = records[training.id].number if training.id in records else len(records)
        record = recorder.record(number, training)
        records[training.id] = record
        if record.state == State.COMPLETE:
            members = believer.front(list(records.values()))
            front = tuple(member.candidate.id for member in members)
            snapshots.append(Snapshot(seconds, seconds, training.thought, front))
    trials = tuple(SimulatedTrial(name, record.state, len(record.curve)) for name, record in records.items())
    counts = {"rejected": 0, "duplicates": raw.duplicates}
    returned = {name for snapshot in snapshots for name in snapshot.front}
    judged = simulated.judged([r.candidate.architecture for name, r in records.items() if name in returned])
    return SearchTrace(raw.seed, raw.world, raw.reason, tuple(snapshots), trials, counts, judged)


class _Recorder:
    """Records of the trainings of one search."""

    def __init__(self, raw: RawSearch, simulated: Benchmark, objectives: tuple[Objective, ...]) -> None:
        self._horizon = simulated.epochs
        self._networks = Networks(simulated.space, raw.seed)
        self._curve_of = simulated.curve_lookup(raw.world)
        self._objectives = objectives

    def record(self, number: int, training: Training) -> Record:
        """Return the trial of a network after a training."""
        candidate = self._networks.of_config(training.config)
        curve = self._curve_of(candidate.architecture, 0)[: training.epochs]
        complete = training.epochs == self._horizon
        return Record(
            number=number,
            state=State.COMPLETE if complete else State.RUNNING,
            candidate=candidate,
            curve=curve,
            training=TrainingState(attempt=1, frozen=not complete, epochs=training.epochs),
            values=objective_values(self._objectives, curve, candidate.costs) if complete else None,
            failure=None,
        )
