"""Writes to Optuna's tables that can be repeated after a lost connection without a second row.

Optuna retries by itself when a connection breaks while it stores a trial, and stores it twice if the first try had
succeeded. Here every write is one transaction, and a later query can tell whether it succeeded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optuna.storages._rdb.models import StudyModel, TrialModel, TrialUserAttributeModel
from optuna.trial import FrozenTrial
from sqlalchemy import Engine, Table, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from nas.study.storage.trial_insert import trial_rows

_STUDIES: Table = StudyModel.__table__
_TRIALS: Table = TrialModel.__table__
_USER_ATTRIBUTES: Table = TrialUserAttributeModel.__table__


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


def set_attributes(engine: Engine, trial_id: int, attributes: Mapping[str, object]) -> None:
    """Insert or update user attributes of a trial in one transaction."""
    dialect: Any = postgresql if engine.dialect.name == "postgresql" else sqlite
    row = dialect.insert(_USER_ATTRIBUTES)
    upsert = row.on_conflict_do_update(
        index_elements=[_USER_ATTRIBUTES.c.trial_id, _USER_ATTRIBUTES.c.key],
        set_={"value_json": row.excluded.value_json},
    )
    rows = [{"trial_id": trial_id, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
    with engine.begin() as connection:
        connection.execute(upsert, rows)
