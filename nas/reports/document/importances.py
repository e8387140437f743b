"""Importance of choices for every measure of a page: for the accuracy among all trials, for costs along the front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.objectives.pareto import Axis
from nas.reports.document.along_front import explained
from nas.reports.document.importance import METHOD, SHUFFLES, importance
from nas.reports.measures import title
from nas.study.trial import Record


def importances(records: Sequence[Record], axis: Axis, costs: Sequence[str]) -> dict[str, Any]:
    """Return the importance of choices as JSON values.

    Args:
        records: the trials of a study.
        axis: the objective on the y axis.
        costs: names of all costs.

    Returns:
        By measure: `measures` (choices with `share`, `chance`, `above_chance`, `active` and `effect`), `trials` (number
        that they are computed from), `best` (number of them that count as the best, None for a cost), and `notes`.
    """
    found = importance(records, axis)
    measures: dict[str, Any] = {axis.name: [choice.to_json() for choice in found.choices]}
    trials: dict[str, int] = {axis.name: found.trials}
    notes = {axis.name: _note(axis.name, found.best, found.trials)}
    for cost in costs:
        if cost == axis.name:
            continue
        along = explained(records, axis, cost)
        measures[cost], trials[cost] = list(along.choices), along.trials
        notes[cost] = (
            f"Share of the spread of {title(cost)}, on a logarithmic scale, that a choice explains by itself among the "
            f"{along.trials} networks nearest to the front of {title(axis.name)} over {title(cost)}. {_CHANCE}"
        )
    best = {name: found.best if name == axis.name else None for name in measures}
    return {"measures": measures, "trials": trials, "best": best, "notes": notes}


_CHANCE = f"The mark is what chance reaches: the highest of {SHUFFLES} shuffles."


def _note(name: str, best: int, trials: int) -> str:
    return f"For {title(name)}, from the best {best} of n = {trials} trials. {METHOD} {_CHANCE}"
