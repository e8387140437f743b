"""Processes as /proc shows them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


def stat(pid: int) -> list[str]:
    """Return state, parent, group, session and more of a process; an empty list if it does not exist."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def gone(pid: int) -> bool:
    """Return whether a process has ended; one that is dead but not yet reaped has.

    The first thread of a process may be dead a moment before the others, which hold its files open until then.
    """
    return all(_dead(task) for task in Path(f"/proc/{pid}/task").glob("*/stat"))


def _dead(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def session(leader: int) -> list[int]:
    """Return the living processes of the session that `leader` started, itself included."""
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if (fields := stat(pid)) and int(fields[3]) == leader and fields[0] != "Z"]


def children(driver: int) -> list[int]:
    """Return the processes that run jobs: children of the fork server, which is a child of the driver."""
    parents = {pid: int(fields[1]) for pid in session(driver) if (fields := stat(pid))}
    return [pid for pid, parent in parents.items() if parents.get(parent) == driver]


def wait_until(condition: Callable[[], object], what: str, patience: float = 120.0) -> None:
    until = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)
