"""Age of this process."""

from __future__ import annotations

import os
import time
from pathlib import Path

STARTED = 21
"""Place of the start time among the fields of /proc/self/stat, from 0; those after the name begin with number 2."""


def process_age(stat: Path = Path("/proc/self/stat"), uptime: Path = Path("/proc/uptime")) -> float:
    """Return the seconds since this process was started; since its first import where the system does not tell."""
    try:
        after_name = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks = int(after_name[STARTED - 2])
        return max(0.0, float(uptime.read_text(encoding="ascii").split()[0]) - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return time.perf_counter() - _IMPORTED


_IMPORTED = time.perf_counter()
