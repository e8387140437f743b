"""Number of processes that the system has killed because memory ran out, by its own counters."""

from __future__ import annotations

from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")
MACHINE = Path("/proc/vmstat")
COUNTER = "oom_kill"


def memory_kills(membership: Path = MEMBERSHIP, groups: Path = GROUPS, machine: Path = MACHINE) -> int:
    """Return the number of such kills in this process' control group, or else on the machine; 0 where none is told.

    Args:
        membership: the groups of this process.
        groups: folder of the groups.
        machine: counters of the machine.
    """
    for line in _text(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        inside = path.lstrip("/")
        version_2 = not controllers
        if not version_2 and "memory" not in controllers.split(","):
            continue
        root, file = (groups, "memory.events") if version_2 else (groups / "memory", "memory.oom_control")
        for folder in (root / inside, root):  # in a container the folder of its group may be the root
            if (count := _counter(_text(folder / file))) is not None:
                return count
    return _counter(_text(machine)) or 0


def _counter(text: str) -> int | None:
    counters = dict(line.split(maxsplit=1) for line in text.splitlines() if " " in line)
    return int(counters[COUNTER]) if COUNTER in counters else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
