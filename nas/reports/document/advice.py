"""Advice on how a search goes on: its command, with a larger budget where the present one is used up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.config.budget import Budget
from nas.jobs import EndReason
from nas.reports.document.context import ReportContext
from nas.study.overview import END, stored_budget
from nas.study.study import Study
from nas.study.time_left import trainings_used
from nas.study.trial import Record, State

COUNTED = (State.COMPLETE, State.PRUNED)
NEARLY = {"minutes": 0.98}
"""Share of a criterion that counts as all of it: the clock of the last stored trial is read a little before the end."""

RUNS = "The search runs. After a stop the same command resumes it."
EXHAUSTED = "Nothing new was found within the space and the limits: another space or other limits make another study."
CONVERGED = "It ended as an hour of training gained less than budget.min_gain: without that it goes on."


def advice(
    study: Study, records: Sequence[Record], status: Mapping[str, Any], context: ReportContext
) -> dict[str, str | None]:
    """Return the command with which the search goes on, None if there is none or it can't be told, and a note on it.

    Args:
        study: the study.
        records: its trials.
        status: its status, as in its document.
        context: its commands.
    """
    budget, end = stored_budget(status["budget"]), study.attribute(END)
    if status["driven"]:
        return _advised(context.search, RUNS)
    if end == EndReason.EXHAUSTED:
        return _advised(None, EXHAUSTED)
    used = {} if budget is None else _used(records, status["clock_seconds"] / 60, budget)
    over = [name for name, spent in used.items() if spent >= _limit(budget, name) * NEARLY.get(name, 1.0)]
    if over:
        larger = {name: _larger(_limit(budget, name), used[name]) for name in over}
        was = " and ".join(f"{_limit(budget, name):,g} {name}" for name in over)
        note = f"The budget of {was} is used up; budgets are totals, so that a larger one goes on from here."
        return _advised(context.search_with and context.search_with(larger), note)
    if end == EndReason.CONVERGED:
        return _advised(context.search_with and context.search_with({"min_gain": None}), CONVERGED)
    left = ", ".join(f"{spent:,.4g} of {_limit(budget, name):,g} {name}" for name, spent in used.items())
    return _advised(context.search, f"The same command goes on{f', after {left}' if left else ''}.")


def _advised(command: str | None, note: str) -> dict[str, str | None]:
    return {"command": command, "note": note}


def _used(records: Sequence[Record], minutes: float, budget: Budget) -> dict[str, float]:
    """Return what is used up of each criterion that the budget has, in its unit."""
    counted = sum(record.state in COUNTED and not record.candidate.imported for record in records)
    used = {"trials": counted, "minutes": minutes, "trainings": trainings_used(records, budget)}
    return {name: spent for name, spent in used.items() if getattr(budget, name) is not None}


def _limit(budget: Budget | None, name: str) -> float:
    return getattr(budget, name)  # type: ignore[no-any-return]  # one of the numbers of a budget


def _larger(limit: float, spent: float) -> float:
    """Return the least multiple of a limit, twice it or more, that is not used up yet."""
    larger = 2 * limit
    while larger <= spent:
        larger += limit
    return larger
