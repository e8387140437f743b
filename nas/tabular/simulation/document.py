"""JSON document of a strategy's simulated searches, without any time of a real clock."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nas.config.budget import Budget
from nas.objectives.costs.macs import COST as MACS
from nas.study.trial import State
from nas.tabular.simulation.benchmark import Benchmark
from nas.tabular.simulation.intervals import Estimate, estimate
from nas.tabular.simulation.scores import GOALS, Score, ceiling, oracle
from nas.tabular.simulation.trace import SearchTrace
from nas.tabular.simulation.truth import NEAR, Truth


def horizon_of(budget: Budget, simulated: Benchmark) -> float:
    """Return the full-training equivalents over which a search is scored: the first of its budget's ends."""
    ends = [float(end) for end in (budget.trainings, budget.trials) if end is not None]
    if budget.minutes is not None:
        ends.append(60 * budget.minutes * simulated.slots / simulated.full_training())
    return min(ends)


@dataclass(frozen=True)
class Scoring:
    """Scores of simulated searches in one box.

    Attributes:
        truth: ground truth of the benchmark, with the box.
        scores: of the searches, all over one horizon, at least one.
    """

    truth: Truth
    scores: Sequence[Score]


def document(traces: Sequence[SearchTrace], whole: Scoring, near: Scoring, simulated: Benchmark) -> dict[str, Any]:
    """Return the simulated searches, their summary, and the table that they are scored by.

    Args:
        traces: one a seed, at least one.
        whole: their scores in the box of the whole space.
        near: their scores in the box around the accurate half of the true front, under `near`.
        simulated: the benchmark.
    """
    horizon = whole.scores[0].horizon
    return {
        "horizon": horizon,
        "rehearsals": [search_document(trace, scored) for trace, scored in zip(traces, whole.scores, strict=True)],
        "summary": summary(whole.scores),
        **table_document(whole.truth, simulated, horizon),
        NEAR: {
            "rehearsals": [scored.to_json() for scored in near.scores],
            "summary": summary(near.scores),
            **bounds_document(near.truth, simulated, horizon),
        },
    }


def table_document(truth: Truth, simulated: Benchmark, horizon: float) -> dict[str, Any]:
    """Return the table with its true front, and the two bounds on the share of a search: oracle and ceiling."""
    return {
        "table": {
            **simulated.about(),
            "full_training_seconds": truth.full_training,
            "slots": simulated.slots,
            "charge": simulated.charge,
        },
        "true_front": [{"id": name, **truth.points[name]} for name in truth.front],
        **bounds_document(truth, simulated, horizon),
    }


def bounds_document(truth: Truth, simulated: Benchmark, horizon: float) -> dict[str, Any]:
    """Return the reference point of a box, and in it the two bounds on the share of a search: oracle and ceiling."""
    return {
        "reference": truth.reference(),
        "oracle": oracle(truth, horizon).to_json(),
        "ceiling": statistics.fmean(_ceiling(truth, simulated, seed) for seed in simulated.worlds),
    }


def search_document(trace: SearchTrace, scored: Score) -> dict[str, Any]:
    """Return one simulated search as a JSON object."""
    states = Counter(trial.state for trial in trace.trials)
    return {
        "seed": trace.seed,
        "table_seed": trace.table_seed,
        "reason": trace.reason,
        "trials": {
            "complete": states[State.COMPLETE],
            "pruned": states[State.PRUNED],
            "unfinished": states[State.RUNNING],
        }
        | dict(trace.counts),
        **scored.to_json(),
        "trained": [[trial.id, trial.epochs] for trial in trace.trials],
        "returned": list(trace.snapshots[-1].front) if trace.snapshots else [],
    }


def summary(scores: Sequence[Score]) -> dict[str, Any]:
    """Return medians over seeds with their intervals; null stands for infinity, a goal that was never reached."""
    reached = {f"{goal:g}": estimate([scored.reached(goal) for scored in scores]) for goal in GOALS}
    return {
        "seeds": len(scores),
        "reached": {goal: _finite(found) for goal, found in reached.items()},
        "area": _finite(estimate([scored.area for scored in scores])),
        "share": _finite(estimate([scored.share for scored in scores])),
    }


def _finite(found: Estimate) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in asdict(found).items()}


def _ceiling(truth: Truth, simulated: Benchmark, seed: int) -> float:
    """Return the share of a search that trained every network with one seed."""
    accuracies = simulated.last_accuracies(truth.points, seed)
    seen = {
        name: {MACS.name: truth.points[name][MACS.name], "error": 1.0 - accuracy}
        for name, accuracy in accuracies.items()
    }
    return ceiling(seen, truth)
