"""What a machine has to train on, and how it is shared out among slots."""

from __future__ import annotations

import os
from collections.abc import Sequence

from nas.workers.spec import AUTO, WorkersSpec


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_gpus(count: int) -> tuple[str, ...]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them.

    Args:
        count: how many torch sees.
    """
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(named[:count] if named else (str(index) for index in range(count)))


def slot_devices(spec: WorkersSpec, gpus: Sequence[str]) -> tuple[str | None, ...]:
    """The device of each slot: GPUs in turn, or None for the CPU.

    >>> slot_devices(WorkersSpec(slots=3), ["0", "1"])
    ('0', '1', '0')
    """
    on_cpu = max(1, cores() // spec.threads_per_slot)
    slots = (len(gpus) or on_cpu) if spec.slots == AUTO else int(spec.slots)
    return tuple(gpus[index % len(gpus)] if gpus else None for index in range(slots))
