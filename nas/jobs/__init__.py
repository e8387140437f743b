"""Jobs and their outcomes: plain data between the driver and the processes that train."""

from __future__ import annotations

from nas.jobs.job import (
    Control,
    Curve,
    Epoch,
    Executor,
    Failure,
    Handle,
    Job,
    Outcome,
    Parent,
    Runner,
    repeat_folder,
)

__all__ = [
    "Control",
    "Curve",
    "Epoch",
    "Executor",
    "Failure",
    "Handle",
    "Job",
    "Outcome",
    "Parent",
    "Runner",
    "repeat_folder",
]
