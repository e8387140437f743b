"""What rehearsals of one strategy came to, as a JSON document without a word of what a real clock said."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from nas.config.specs import Budget
from nas.study.trial import State
from nas.tabular.simulation.intervals import Estimate, estimate
from nas.tabular.simulation.scores import GOALS, Score, ceiling, oracle
from nas.tabular.simulation.simulate import Stage, Trace
from nas.tabular.simulation.truth import Truth


def horizon_of(budget: Budget, stage: Stage) -> float:
    """Full-training equivalents over which a search with this budget is judged: the soonest of its ends."""
    ends = [float(end) for end in (budget.trainings, budget.trials) if end is not None]
    if budget.minutes is not None:
        ends.append(60 * budget.minutes * stage.slots / stage.full_training())
    return min(ends)


def document(traces: Sequence[Trace], scores: Sequence[Score], truth: Truth, stage: Stage) -> dict[str, Any]:
    """The rehearsals, what they come to together, and what they are measured by.

    Args:
        traces: one a seed, at least one.
        scores: theirs, all over one horizon.
        truth: about the table's networks.
        stage: the table, and how it was played.
    """
    horizon = scores[0].horizon
    return {
        "horizon": horizon,
        "rehearsals": [rehearsal(trace, scored) for trace, scored in zip(traces, scores, strict=True)],
        "summary": summary(scores),
        **measured_by(truth, stage, horizon),
    }


def measured_by(truth: Truth, stage: Stage, horizon: float) -> dict[str, Any]:
    """The table with its truth, and the two bounds of what a search can do in it."""
    table = stage.table
    return {
        "table": {
            "path": str(table.path),
            "hash": table.hash,
            "space": table.space.name,
            "architectures": len(table.entries),
            "seeds": list(table.seeds),
            "epochs": table.epochs,
            "full_training_seconds": truth.full_training,
            "slots": stage.slots,
            "charge": stage.charge,
        },
        "reference": truth.reference(),
        "true_front": [{"id": name, **truth.points[name]} for name in truth.front],
        "oracle": oracle(truth, horizon).to_json(),
        "ceiling": statistics.fmean(_ceiling(truth, stage, seed) for seed in table.seeds),
    }


def rehearsal(trace: Trace, scored: Score) -> dict[str, Any]:
    """One rehearsal as a JSON object."""
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
        "returned": list(trace.steps[-1].front) if trace.steps else [],
    }


def summary(scores: Sequence[Score]) -> dict[str, Any]:
    """Medians over seeds with their intervals; null for what is infinite, a goal that was never reached."""
    reached = {f"{goal:g}": estimate([scored.reached(goal) for scored in scores]) for goal in GOALS}
    return {
        "seeds": len(scores),
        "reached": {goal: _finite(found) for goal, found in reached.items()},
        "area": _finite(estimate([scored.area for scored in scores])),
        "share": _finite(estimate([scored.share for scored in scores])),
    }


def _finite(found: Estimate) -> dict[str, float | None]:
    return {name: value if math.isfinite(value) else None for name, value in asdict(found).items()}


def _ceiling(truth: Truth, stage: Stage, seed: int) -> float:
    """What a search that trained everything with one seed would return."""
    entries = {name: stage.table.entries[name] for name in truth.points}
    seen = {
        name: {"macs": truth.points[name]["macs"], "error": 1.0 - entry.curves[seed][-1].val_accuracy}
        for name, entry in entries.items()
    }
    return ceiling(seen, truth)
