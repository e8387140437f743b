"""Timed steps of a training, as a `TimedRunner` leaves them in the folder of its job; read without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.jobs.files import read_json

TIMED_EPOCHS = 2
"""Epochs of a timed training: one to warm up, and one that is timed."""
TIMING_FILE = "timing.json"


@dataclass(frozen=True)
class Span:
    """Batches of one epoch of a loader, and their time.

    Attributes:
        batches: number of batches, at least 1.
        seconds: wall-clock seconds from the request of the first one until the last one was worked on.
    """

    batches: int
    seconds: float


@dataclass(frozen=True)
class Timing:
    """Timed steps of a training.

    Attributes:
        began: clock (`time.time`) at which the first batch was requested.
        train_batches: batches of a full epoch.
        val_batches: batches of a full validation.
        train: timed batches of each epoch.
        validation: timed validation batches of each epoch.
        epoch_seconds: seconds of each epoch, as cut short.
        checkpoint_bytes: size of the newest checkpoint.
        process_bytes: largest resident memory of the process so far.
        gpu_bytes: largest memory of the GPU that the process had allocated, 0 without one.
    """

    began: float
    train_batches: int
    val_batches: int
    train: tuple[Span, ...]
    validation: tuple[Span, ...]
    epoch_seconds: tuple[float, ...]
    checkpoint_bytes: int
    process_bytes: int
    gpu_bytes: int

    @classmethod
    def read(cls, folder: Path) -> Timing:
        """Return the timing that a `TimedRunner` left in the folder of its job."""
        found: dict[str, Any] = read_json(folder / TIMING_FILE) or {}
        spans = {name: tuple(Span(**each) for each in found[name]) for name in ("train", "validation")}
        return cls(**{**found, **spans, "epoch_seconds": tuple(found["epoch_seconds"])})
