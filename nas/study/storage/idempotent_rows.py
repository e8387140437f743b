"""Writes to Optuna's tables that can be repeated after a lost connection without a second row.

Optuna retries by itself when a connection breaks while it stores a trial, and stores it twice if the first try had
succeeded. Here every write is one transaction, and a later query can tell whether it succeeded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.storages._rdb.models import (
    StudyModel,
    TrialIntermediateValueModel,
    TrialModel,
    TrialUserAttributeModel,
)
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, Engine, Table, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from nas.study.storage.trial_insert import trial_rows

_STUDIES: Table = StudyModel.__table__
_TRIALS: Table = TrialModel.__table__
_USER_ATTRIBUTES: Table = TrialUserAttributeModel.__table__
_STEPS: Table = TrialIntermediateValueModel.__table__


def insert_trial(engine: Engine, study_id: int, trial: FrozenTrial) -> tuple[int, int]:
    """Store a trial without values in one transaction.

    Args:
        engine: of a database with Optuna's tables.
        study_id: primary key of the study.
        trial: made by `create_trial`.

    Returns:
        The primary key of the trial, and its number in the study.
    """
    number_of_trials = select(func.count()).select_from(_TRIALS).where(_TRIALS.c.study_id == study_id).scalar_subquery()
    with engine.begin() as connection:
        # Locks the study's row until the commit, as Optuna does, so that trial numbers have no gaps.
        study = select(_STUDIES.c.study_id).where(_STUDIES.c.study_id == study_id).with_for_update()
        connection.execute(study).one()
        row = {"study_id": study_id, "state": trial.state, "datetime_start": trial.datetime_start}
        added = insert(_TRIALS).values(number=number_of_trials, **row).returning(_TRIALS.c.trial_id, _TRIALS.c.number)
        trial_id, number = connection.execute(added).one()
        for model, rows in trial_rows(trial_id, trial).items():
            if rows:
                connection.execute(insert(model), rows)
    return int(trial_id), int(number)


def find_trial(engine: Engine, study_id: int, key: str, value: object) -> tuple[int, int] | None:
    """Return primary key and number of the study's trial with this user attribute, None if there is none."""
    with engine.connect() as connection:
        found = connection.execute(
            select(_TRIALS.c.trial_id, _TRIALS.c.number)
            .join(_USER_ATTRIBUTES, _USER_ATTRIBUTES.c.trial_id == _TRIALS.c.trial_id)
            .where(
                _TRIALS.c.study_id == study_id,
                _USER_ATTRIBUTES.c.key == key,
                _USER_ATTRIBUTES.c.value_json == json.dumps(value),
            )
        ).first()
    return None if found is None else (int(found[0]), int(found[1]))


def start_trial(engine: Engine, trial_id: int, trial: FrozenTrial) -> None:
    """Start a trial that waits, in one transaction: parameters and attributes of `trial` replace its own.

    Args:
        engine: of a database with Optuna's tables.
        trial_id: primary key of the trial that waits.
        trial: made by `create_trial`.
    """
    with engine.begin() as connection:
        for model, rows in trial_rows(trial_id, trial).items():
            table: Table = model.__table__
            names = [row["param_name"] if "param_name" in row else row["key"] for row in rows]
            column = table.c.param_name if "param_name" in table.c else table.c.key
            connection.execute(delete(table).where(table.c.trial_id == trial_id, column.in_(names)))
            if rows:
                connection.execute(insert(table), rows)
        began = {"state": TrialState.RUNNING, "datetime_start": trial.datetime_start}
        connection.execute(update(_TRIALS).where(_TRIALS.c.trial_id == trial_id).values(began))


def set_attributes(engine: Engine, trial_id: int, attributes: Mapping[str, object], steps: Mapping[int, float]) -> None:
    """Insert or update user attributes and intermediate values of a trial in one transaction.

    Args:
        engine: of a database with Optuna's tables.
        trial_id: primary key of the trial.
        attributes: JSON values by key.
        steps: intermediate values by step.
    """
    keyed = [{"trial_id": trial_id, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
    with engine.begin() as connection:
        _upsert(connection, _USER_ATTRIBUTES, "key", keyed)
        _upsert(connection, _STEPS, "step", [_step_row(trial_id, step, value) for step, value in steps.items()])


def _step_row(trial_id: int, step: int, value: float) -> dict[str, Any]:
    stored, kind = TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    return {"trial_id": trial_id, "step": step, "intermediate_value": stored, "intermediate_value_type": kind}


def _upsert(connection: Connection, table: Table, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of a trial, or update those that have the same `key`."""
    if not rows:
        return
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    row = dialect.insert(table)
    changed = {name: row.excluded[name] for name in rows[0] if name not in ("trial_id", key)}
    connection.execute(
        row.on_conflict_do_update(index_elements=[table.c.trial_id, table.c[key]], set_=changed), list(rows)
    )
