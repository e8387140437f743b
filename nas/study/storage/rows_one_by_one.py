"""Rows of a study read one by one, for a study of which Optuna can't read all of them at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError, StatementError

from nas.study import checked
from nas.study.storage.errors import StorageError
from nas.study.storage.trial_reading import is_number

UNREADABLE = (*checked.UNREADABLE, StatementError)
"""Errors of Optuna and SQLAlchemy on a row that neither of them wrote."""

_TRIALS = text("SELECT trial_id, number FROM trials WHERE study_id = :study ORDER BY trial_id")

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
    if not all(is_number(trial.number, len(trials)) for trial in trials):
        return _one_by_one(storage, retry, study_id)
    return trials, {}


def _one_by_one(storage: BaseStorage, retry: Retry, study_id: int) -> tuple[list[FrozenTrial], dict[int, str]]:
    rows = retry(lambda: _select(storage, _TRIALS, study_id))
    found: list[FrozenTrial] = []
    unreadable: dict[int, str] = {}
    for place, (trial_id, number) in enumerate(rows):
        if not is_number(number, len(rows)):
            unreadable[place] = f"the number {number}"
            continue
        try:
            found.append(retry(partial(storage.get_trial, trial_id)))
        except (StorageError, StorageInternalError, OperationalError):
            raise
        except UNREADABLE as error:
            unreadable[number] = checked.reason(error)
    return found, unreadable


def _select(storage: BaseStorage, query: Any, study_id: int) -> list[tuple[Any, ...]]:
    engine: Engine = storage.engine  # type: ignore[attr-defined]  # of a database: one in memory is never damaged
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query, {"study": study_id})]
