"""Schema that a study's database must have before Optuna opens it: Optuna would create what is missing."""

from __future__ import annotations

import sqlite3
from functools import cache
from pathlib import Path

import optuna

_STAMP = "alembic_version"
TABLES = {
    name: frozenset(columns.split())
    for name, columns in {
        "studies": "study_id study_name",
        "version_info": "library_version schema_version version_info_id",
        "study_directions": "direction objective study_direction_id study_id",
        "study_system_attributes": "key study_id study_system_attribute_id value_json",
        "study_user_attributes": "key study_id study_user_attribute_id value_json",
        "trials": "datetime_complete datetime_start number state study_id trial_id",
        "trial_intermediate_values": (
            "intermediate_value intermediate_value_type step trial_id trial_intermediate_value_id"
        ),
        "trial_params": "distribution_json param_id param_name param_value trial_id",
        "trial_system_attributes": "key trial_id trial_system_attribute_id value_json",
        "trial_user_attributes": "key trial_id trial_user_attribute_id value_json",
        "trial_values": "objective trial_id trial_value_id value value_type",
    }.items()
}
"""Columns of Optuna's tables but for `trial_heartbeats`, which holds nothing of ours: without SQLAlchemy, which Optuna
describes them with and which takes a reader longer to import than a study to read. A test compares the two."""


def schema_fault(connection: sqlite3.Connection) -> str | None:
    """Return what a database lacks of a study's schema, None if it lacks nothing.

    Args:
        connection: to the database.
    """
    stored = {name: _columns(connection, name) for name in (*TABLES, _STAMP)}
    missing = sorted(name for name, columns in stored.items() if not columns)
    if missing:
        return f"the tables of Optuna {optuna.__version__}, it lacks {', '.join(missing)}"
    lacking = sorted(f"{name}.{column}" for name, columns in TABLES.items() for column in columns - stored[name])
    if lacking:
        return f"the tables of Optuna {optuna.__version__}, it lacks {', '.join(lacking)}"
    versions = [row[0] for row in connection.execute(f"SELECT version_num FROM {_STAMP}")]
    if versions != [_newest()]:
        return f"schema {_newest()} of Optuna {optuna.__version__}, it has {', '.join(map(str, versions)) or 'none'}"
    return None


@cache
def _newest() -> str:
    """Return the version of the schema that this Optuna writes: the name of its last migration."""
    folder = Path(str(optuna.__file__)).parent / "storages" / "_rdb" / "alembic" / "versions"
    names = [path.stem.rstrip("_") for path in folder.glob("v*.py")]
    return max(names, key=lambda name: [int(part) if part.isdigit() else part for part in name[1:].split(".")])


def _columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    return frozenset(row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)))
