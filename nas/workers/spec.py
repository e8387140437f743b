"""Who trains, as plain checked values."""

from __future__ import annotations

from dataclasses import dataclass

WORKERS = ("local",)


@dataclass(frozen=True)
class WorkersSpec:
    """How many trainings run at once, and where.

    Attributes:
        name: `local`, child processes on this machine.
        slots: trainings at once, at least 1.
        threads_per_slot: CPU threads of one training, at least 1; null divides all cores by the slots.
        retries: how often a training whose process died is tried again, at least 0.
        deadline_minutes: minutes after which a training is killed; null for no deadline.

    Raises:
        ValueError: a name that there is not, or a number out of range.
    """

    name: str = "local"
    slots: int = 1
    threads_per_slot: int | None = None
    retries: int = 2
    deadline_minutes: float | None = None

    def __post_init__(self) -> None:
        if self.name not in WORKERS:
            raise ValueError(f"workers.name must be one of {', '.join(WORKERS)}, got {self.name!r}")
        if self.slots < 1:
            raise ValueError(f"workers.slots must be at least 1, got {self.slots}")
        if self.threads_per_slot is not None and self.threads_per_slot < 1:
            raise ValueError(f"workers.threads_per_slot must be at least 1, got {self.threads_per_slot}")
        if self.retries < 0:
            raise ValueError(f"workers.retries must be at least 0, got {self.retries}")
        if self.deadline_minutes is not None and not self.deadline_minutes > 0:
            raise ValueError(f"workers.deadline_minutes must be positive, got {self.deadline_minutes}")
