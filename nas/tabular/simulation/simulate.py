"""Simulation of one search over a benchmark, with the driver, the samplers and the policies of a real search."""

from __future__ import annotations

from dataclasses import replace

from nas.fidelity.policy import Inheriting
from nas.search.built_strategy import Strategy, TrainingHorizon, build_strategy
from nas.search.driver import Search
from nas.tabular.simulation.benchmark import Benchmark
from nas.tabular.simulation.clock import SimulatedClock, poll_seconds
from nas.tabular.simulation.executor import TableExecutor
from nas.tabular.simulation.memory import study_in_memory
from nas.tabular.simulation.trace import SearchTrace, SimulatedTrial, TraceRecorder


def simulate(strategy: Strategy, simulated: Benchmark) -> SearchTrace:
    """Simulate one search and return its trace.

    The search sees the trainings of one world of the benchmark, which follows from its seed. `budget.trainings` counts
    full-training equivalents of the benchmark.

    Args:
        strategy: settings of the search.
        simulated: the benchmark.

    Raises:
        ValueError: no such sampler or fidelity, a fidelity that inherits weights, a budget without an end, or at least
            as many repeats as the table has seeds.
    """
    if simulated.repeats is not None and strategy.fidelity.repeats > simulated.repeats:
        raise ValueError(
            f"fidelity.repeats must be below the number of seeds of the table, each training being one of them, "
            f"got {strategy.fidelity.repeats} and {simulated.repeats + 1} in {simulated.path}"
        )
    world, epochs = simulated.world(strategy.seed), simulated.epochs
    built = build_strategy(strategy, simulated.space, TrainingHorizon(epochs, simulated.validation_images))
    if isinstance(built.policy, Inheriting):
        raise ValueError(  # noqa: TRY004 - a setting of the user, not the type of an argument
            "a simulated search must train from fresh weights, as tables record trainings, "
            f"got fidelity={strategy.fidelity.name}"
        )
    clock, recorder = SimulatedClock(), TraceRecorder()
    full = simulated.full_training()
    executor = TableExecutor(simulated.curve_lookup(world), clock, simulated.slots)
    study = study_in_memory(built.axes)
    study.believer = built.believer
    parts = replace(
        built.parts(study, executor, executor.latest),
        observers=[recorder],
        clock=clock,
        poll_seconds=poll_seconds(strategy.budget, full / epochs),
    )
    search = Search(parts, replace(strategy.budget, training_seconds=full), epochs=epochs, retries=0)
    reason = str(search.run())
    records = parts.study.records()
    returned = {name for snapshot in recorder.snapshots for name in snapshot.front}
    return SearchTrace(
        seed=strategy.seed,
        table_seed=world,
        reason=reason,
        snapshots=tuple(recorder.snapshots),
        trials=tuple(SimulatedTrial(r.candidate.id, r.state, len(r.curve)) for r in records),
        counts=dict(built.proposer.totals),
        judged=simulated.judged([r.candidate.architecture for r in records if r.candidate.id in returned]),
    )
