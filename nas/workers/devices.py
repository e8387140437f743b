"""Devices of this machine, and their allocation to slots."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from nas.config.workers import AUTO, WorkersSpec

MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def slot_devices(spec: WorkersSpec, gpus: Sequence[str]) -> tuple[str | None, ...]:
    """Return the device of each slot: the GPUs in turn, or None for the CPU.

    >>> slot_devices(WorkersSpec(slots=3), ["0", "1"])
    ('0', '1', '0')
    >>> slot_devices(WorkersSpec(slots_per_device=2), ["0", "1"])
    ('0', '1', '0', '1')
    """
    on_cpu = max(1, cores() // spec.threads_per_slot)
    slots = (len(gpus) * spec.slots_per_device or on_cpu) if spec.slots == AUTO else int(spec.slots)
    return tuple(gpus[index % len(gpus)] if gpus else None for index in range(slots))


def smallest_share(slots: Sequence[str | None], memory: Mapping[str | None, int]) -> int:
    """Return the bytes of memory that a training may use in any of the slots.

    Args:
        slots: device of each slot, from `slot_devices`.
        memory: bytes of memory by device.

    >>> smallest_share(("0", "1", "0"), {"0": 80, "1": 48})
    40
    """
    return min(memory[device] // slots.count(device) for device in slots)


def machine_memory(limits: Sequence[Path] = MEMORY_LIMITS) -> int:
    """Return the bytes of memory of this machine, or the limit of the container.

    Args:
        limits: files in which the system may state a limit.
    """
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in limits:
        text = path.read_text(encoding="ascii").strip() if path.is_file() else ""
        found += [int(text)] if text.isdigit() else []
    return min(found)
