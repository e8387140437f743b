"""Study of a simulated search, in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nas.objectives.pareto import Axis
from nas.study.storage.memory import MemoryStore
from nas.study.study import Study, create_study

NOWHERE = Path(os.devnull) / "simulation"
"""Path that can't exist: a simulated search neither reads nor writes a file of a study."""


def study_in_memory(axes: Sequence[Axis]) -> Study:
    """Create a study in memory with these objectives."""
    return create_study(NOWHERE, {"objectives": [axis.to_json() for axis in axes]}, MemoryStore())
