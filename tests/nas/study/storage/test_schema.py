"""What a reader needs of Optuna's schema, and what it imports."""

from __future__ import annotations

import subprocess
import sys

from optuna.storages._rdb import models

from nas.study.storage.schema import TABLES


def test_the_tables_are_those_of_this_optuna() -> None:
    optunas = {
        name: {column.name for column in table.columns} for name, table in models.BaseModel.metadata.tables.items()
    }
    del optunas["trial_heartbeats"]
    assert optunas == TABLES


def test_a_reader_imports_no_sqlalchemy_and_no_torch() -> None:
    named = "[name for name in ('sqlalchemy', 'torch', 'sklearn', 'plotly', 'pandas') if name in sys.modules]"
    code = f"import sys, nas.cli.status, nas.cli.front; print({named})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
