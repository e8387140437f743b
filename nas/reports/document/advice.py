"""Advice on how a search goes on: its command, with a larger budget where the present one is used up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.reports.document.context import ReportContext
from nas.study.trial import Record, State

COUNTED = (State.COMPLETE, State.PRUNED)
NEARLY = 0.98
"""Share of the minutes that counts as all of them: the clock of the last stored trial is read a little earlier."""


def advice(records: Sequence[Record], status: Mapping[str, Any], context: ReportContext) -> dict[str, str | None]:
    """Return the command with which the search goes on, None if it can't be told, and a note on it.

    Args:
        records: the trials of the study.
        status: its status document.
        context: its commands.
    """
    budget: Mapping[str, Any] = status.get("budget") or {}
    used = {name: spent for name, spent in _spent(records, status, budget).items() if budget.get(name) is not None}
    exhausted = [name for name, spent in used.items() if spent >= _limit(name, budget)]
    if status.get("driven"):
        return {"command": context.search, "note": "The search runs. After a stop the same command resumes it."}
    if not exhausted:
        left = ", ".join(f"{_text(spent)} of {_text(budget[name])} {name}" for name, spent in used.items())
        note = f"The budget is not used up ({left}): the same command goes on." if left else "The same command goes on."
        return {"command": context.search, "note": note}
    larger = {name: _larger(budget[name], used[name]) for name in exhausted}
    was = ", ".join(f"{_text(budget[name])} {name}" for name in exhausted)
    note = f"The budget of {was} is used up; budgets are totals, so a larger one goes on from here."
    return {"command": context.search_with(larger) if context.search_with else None, "note": note}


def _spent(records: Sequence[Record], status: Mapping[str, Any], budget: Mapping[str, Any]) -> dict[str, float]:
    """Return what is used up of each criterion, in its unit."""
    own = [record for record in records if not record.candidate.imported]
    fresh = [record.seconds for record in own if record.state == State.COMPLETE and record.descent is None]
    unit = budget.get("training_seconds") or (sum(fresh) / len(fresh) if fresh else 0.0)
    return {
        "trials": sum(record.state in COUNTED for record in own),
        "minutes": status["clock_seconds"] / 60,
        "trainings": status["seconds"] / unit if unit else 0.0,
    }


def _limit(name: str, budget: Mapping[str, Any]) -> float:
    return float(budget[name]) * (NEARLY if name == "minutes" else 1.0)


def _larger(limit: float, spent: float) -> float:
    """Return a budget that leaves as much again as was given, in its own type."""
    doubled = 2 * limit
    while doubled <= spent:
        doubled += limit
    return doubled


def _text(value: float) -> str:
    return f"{value:,.4g}" if isinstance(value, float) and not float(value).is_integer() else f"{int(value):,}"
