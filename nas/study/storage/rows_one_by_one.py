"""Rows of a study read one by one, for a study of which Optuna can't read all of them at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError, StatementError

from nas.study.storage.errors import StorageError

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, AssertionError, RecursionError, StatementError)
"""Errors of Optuna and SQLAlchemy on a row that neither of them wrote."""

GAPS = 100
"""Largest ratio of a trial's number to the count of trials."""

_TRIALS = text("SELECT trial_id, number FROM trials WHERE study_id = :study ORDER BY trial_id")
_ATTRIBUTES = text("SELECT key, value_json FROM study_user_attributes WHERE study_id = :study")

Retry = Callable[[Callable[[], Any]], Any]


def read_trials(storage: BaseStorage, retry: Retry, study_id: int) -> tuple[list[FrozenTrial], dict[int, str]]:
    """Return all trials of a study that can be read, and the reasons why others can't be, by number.

    Args:
        storage: of the study.
        retry: repeats a transaction while the database is unavailable.
        study_id: primary key of the study.

    Raises:
        ValueError: the tables can't be read at all.
    """
    try:
        trials = retry(lambda: storage.get_all_trials(study_id, deepcopy=False))
    except (StorageError, StorageInternalError, OperationalError):
        raise
    except UNREADABLE:
        return _one_by_one(storage, retry, study_id)
    if not all(_is_number(trial.number, len(trials)) for trial in trials):
        return _one_by_one(storage, retry, study_id)
    return trials, {}


def _is_number(number: object, count: int) -> bool:
    """Return whether this may be the number of one of `count` trials; deleted ones leave gaps."""
    return isinstance(number, int) and 0 <= number < GAPS * (count + GAPS)


def _one_by_one(storage: BaseStorage, retry: Retry, study_id: int) -> tuple[list[FrozenTrial], dict[int, str]]:
    rows = retry(lambda: _select(storage, _TRIALS, study_id))
    found: list[FrozenTrial] = []
    unreadable: dict[int, str] = {}
    for place, (trial_id, number) in enumerate(rows):
        if not _is_number(number, len(rows)):
            unreadable[place] = f"the number {number}"
            continue
        try:
            found.append(retry(partial(storage.get_trial, trial_id)))
        except (StorageError, StorageInternalError, OperationalError):
            raise
        except UNREADABLE as error:
            unreadable[number] = reason(error)
    return found, unreadable


def read_attributes(storage: BaseStorage, retry: Retry, study_id: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Return all attributes of a study that can be read, and the reasons why others can't be, by key.

    Args:
        storage: of the study.
        retry: repeats a transaction while the database is unavailable.
        study_id: primary key of the study.
    """
    try:
        return retry(lambda: storage.get_study_user_attrs(study_id)), {}
    except (StorageError, StorageInternalError, OperationalError):
        raise
    except UNREADABLE:
        rows = retry(lambda: _select(storage, _ATTRIBUTES, study_id))
    found: dict[str, Any] = {}
    unreadable: dict[str, str] = {}
    for key, stored in rows:
        try:
            found[str(key)] = json.loads(stored)
        except UNREADABLE as error:
            unreadable[str(key)] = reason(error)
    return found, unreadable


def reason(error: BaseException) -> str:
    """Return an error of a library as a short clause."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:120]}" if said else type(error).__name__


def _select(storage: BaseStorage, query: Any, study_id: int) -> list[tuple[Any, ...]]:
    engine: Engine = storage.engine  # type: ignore[attr-defined]  # of a database: one in memory is never damaged
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query, {"study": study_id})]
