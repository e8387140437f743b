"""Overview of a study at one moment: its state, the share that is done, the time left, best network and knee."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from nas.config.budget import Budget
from nas.jobs import EndReason
from nas.study.live import network_document, read_live
from nas.study.selection import believed_front
from nas.study.study import Study
from nas.study.summary import spent_clock
from nas.study.time_left import TimeLeft, share_of_trials, trainings_used
from nas.study.trial import Record, State

END = "end"
"""Study attribute: the reason for which its last search ended, None while one runs or if it was killed."""

ENERGY = "energy"
"""Study attribute: the joules that the machine of its searches took, and the names of their counters."""

START_WEIGHTS = "start_weights"
"""Study attribute: the file of weights that all its trainings start from, and the shares that its starts inherit."""

FINISHED = (EndReason.BUDGET, EndReason.CONVERGED, EndReason.EXHAUSTED, EndReason.MINUTES)
RUNNING, DONE, STOPPED = "running", "finished", "stopped"
"""States of a study that can be read."""


def overview(study: Study, records: Sequence[Record], *, driven: bool) -> dict[str, Any]:
    """Return `state`, `share_done`, `seconds_left`, `best`, `knee` and `running` as a JSON object.

    While the study is driven they are those of `live.json`, if the folder has one.

    Args:
        study: the study.
        records: its trials.
        driven: whether a process drives it now.
    """
    live = read_live(study.folder) if driven else None
    budget = stored_budget(study.attribute("budget"))
    if live is not None:
        left, share, running = live.get("seconds_left"), live.get("share_done"), live["running"]
    else:
        left, share = _left(study, records, budget)
        running = []
    best, knee = best_and_knee(study, records)
    state = RUNNING if driven else study_state(study.attribute(END), records, budget)
    if state == DONE:
        left, share = 0.0, 1.0
    return {
        "state": state,
        "share_done": share,
        "seconds_left": left,
        "best": network_document(best),
        "knee": network_document(knee),
        "running": running,
    }


def best_and_knee(study: Study, records: Sequence[Record]) -> tuple[Record | None, Record | None]:
    """Return the trials that `pick=best` and `pick=knee` select, None for an empty front."""
    front = believed_front([record for record in records if record.values is not None], study.believer)
    return front.member(front.best), front.member(front.knee)


def study_state(end: Any, records: Sequence[Record], budget: Budget | None) -> str:
    """Return the state of a study that no process drives.

    Args:
        end: its attribute `END`; studies of earlier versions have none.
        records: its trials.
        budget: its budget, None if it is not known.
    """
    if end in FINISHED:
        return DONE
    if end is not None or budget is None:
        return STOPPED
    own = [record for record in records if not record.candidate.imported]
    ended = sum(record.state in {State.COMPLETE, State.PRUNED} for record in own)
    trials = budget.trials is not None and ended >= budget.trials
    trainings = budget.trainings is not None and trainings_used(own, budget) >= budget.trainings
    waiting = any(record.state == State.RUNNING for record in own)
    return DONE if (trials or trainings) and not waiting else STOPPED


def stored_budget(document: Any) -> Budget | None:
    """Return the budget that a study stores, None if it has none that can be read."""
    if not isinstance(document, Mapping):
        return None
    known = {field.name for field in fields(Budget)}
    try:
        return Budget(**{key: value for key, value in document.items() if key in known})
    except (TypeError, ValueError):
        return None


def _left(study: Study, records: Sequence[Record], budget: Budget | None) -> tuple[float | None, float | None]:
    """Return the seconds that a search would still take if it went on, and the share that is done."""
    if budget is None:
        return None, None
    config = study.attribute("config")
    workers = config.get("workers") if isinstance(config, Mapping) else None
    slots = workers.get("slots") if isinstance(workers, Mapping) else None
    clock = spent_clock(records)
    count = slots if isinstance(slots, int) and slots > 0 else 1
    left = TimeLeft(budget).seconds(records, [], count, clock)
    if budget.trials is not None:
        return left, share_of_trials(records, budget.trials)
    return left, None if left is None else clock / max(clock + left, 1e-9)
