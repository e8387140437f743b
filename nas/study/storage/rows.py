"""Rows of Optuna's tables that must land exactly once.

Optuna tries again by itself when a connection breaks while it stores a trial, and stores it twice where the first one
had landed. Here a transaction is one transaction, and can be looked for afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optuna.storages._rdb.models import StudyModel, TrialModel, TrialUserAttributeModel
from optuna.trial import FrozenTrial
from sqlalchemy import Engine, Table, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from nas.study.storage.lean import rows_of

_STUDIES: Table = StudyModel.__table__
_TRIALS: Table = TrialModel.__table__
_USER: Table = TrialUserAttributeModel.__table__


def insert_trial(engine: Engine, study_id: int, trial: FrozenTrial) -> tuple[int, int]:
    """Store a trial without values in one transaction.

    Args:
        engine: of a database with Optuna's tables.
        study_id: the database's key of the study.
        trial: as `create_trial` makes it.

    Returns:
        The database's key of the trial, and its number in the study.
    """
    earlier = select(func.count()).select_from(_TRIALS).where(_TRIALS.c.study_id == study_id).scalar_subquery()
    with engine.begin() as connection:
        # Whoever adds a trial holds the study's row meanwhile, as Optuna does: numbers have no gaps.
        held = select(_STUDIES.c.study_id).where(_STUDIES.c.study_id == study_id).with_for_update()
        connection.execute(held).one()
        given = {"study_id": study_id, "state": trial.state, "datetime_start": trial.datetime_start}
        added = insert(_TRIALS).values(number=earlier, **given).returning(_TRIALS.c.trial_id, _TRIALS.c.number)
        trial_id, number = connection.execute(added).one()
        for model, rows in rows_of(trial_id, trial).items():
            if rows:
                connection.execute(insert(model), rows)
    return int(trial_id), int(number)


def find_trial(engine: Engine, study_id: int, key: str, value: object) -> tuple[int, int] | None:
    """Key and number of the study's trial that has this user attribute, None where there is none."""
    with engine.connect() as connection:
        found = connection.execute(
            select(_TRIALS.c.trial_id, _TRIALS.c.number)
            .join(_USER, _USER.c.trial_id == _TRIALS.c.trial_id)
            .where(_TRIALS.c.study_id == study_id, _USER.c.key == key, _USER.c.value_json == json.dumps(value))
        ).first()
    return None if found is None else (int(found[0]), int(found[1]))


def set_attributes(engine: Engine, trial_id: int, attributes: Mapping[str, object]) -> None:
    """Store user attributes of a trial in one transaction, new ones and others anew."""
    dialect: Any = postgresql if engine.dialect.name == "postgresql" else sqlite
    row = dialect.insert(_USER)
    upsert = row.on_conflict_do_update(
        index_elements=[_USER.c.trial_id, _USER.c.key], set_={"value_json": row.excluded.value_json}
    )
    with engine.begin() as connection:
        connection.execute(upsert, [{"trial_id": trial_id, **item} for item in _items(attributes)])


def _items(attributes: Mapping[str, object]) -> list[dict[str, str]]:
    return [{"key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
