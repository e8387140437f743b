"""A study of which nothing is left: what a rehearsal writes into."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import optuna
from optuna.storages import InMemoryStorage

from nas.pareto import Axis
from nas.study import STUDY_NAME, Study

NOWHERE = Path(os.devnull) / "rehearsal"
"""A folder that can never be: a rehearsal neither reads nor writes a file of a study."""


def study_in_memory(axes: Sequence[Axis]) -> Study:
    """A new study in memory, with these objectives."""
    storage: Any = InMemoryStorage()
    directions: Any = [axis.direction for axis in axes]
    study = optuna.create_study(storage=storage, study_name=STUDY_NAME, directions=directions)
    study.set_user_attr("fingerprint", {"objectives": [axis.to_json() for axis in axes]})
    return Study(cast(Any, storage), NOWHERE)
