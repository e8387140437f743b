"""Schema that a study's database must have before Optuna opens it: Optuna would create what is missing."""

from __future__ import annotations

import sqlite3
from functools import cache
from pathlib import Path

import optuna
from optuna.storages._rdb import models

_STAMP = "alembic_version"


def schema_fault(connection: sqlite3.Connection) -> str | None:
    """Return what a database lacks of a study's schema, None if it lacks nothing.

    Args:
        connection: to the database.
    """
    stored = {name: _columns(connection, name) for name in (*_tables(), _STAMP)}
    missing = sorted(name for name, columns in stored.items() if not columns)
    if missing:
        return f"the tables of Optuna {optuna.__version__}, it lacks {', '.join(missing)}"
    lacking = sorted(f"{name}.{column}" for name, columns in _tables().items() for column in columns - stored[name])
    if lacking:
        return f"the tables of Optuna {optuna.__version__}, it lacks {', '.join(lacking)}"
    versions = [row[0] for row in connection.execute(f"SELECT version_num FROM {_STAMP}")]
    if versions != [_newest()]:
        return f"schema {_newest()} of Optuna {optuna.__version__}, it has {', '.join(map(str, versions)) or 'none'}"
    return None


@cache
def _newest() -> str:
    """Return the version of the schema that this Optuna writes: the name of its last migration."""
    folder = Path(str(models.__file__)).parent / "alembic" / "versions"
    names = [path.stem.rstrip("_") for path in folder.glob("v*.py")]
    return max(names, key=lambda name: [int(part) if part.isdigit() else part for part in name[1:].split(".")])


@cache
def _tables() -> dict[str, frozenset[str]]:
    """Return the columns of Optuna's tables by name; tables that hold nothing of ours are left out."""
    return {
        name: frozenset(column.name for column in table.columns)
        for name, table in models.BaseModel.metadata.tables.items()
        if name != "trial_heartbeats"
    }


def _columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    return frozenset(row[0] for row in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)))
