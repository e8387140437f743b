"""Jobs and their outcomes: plain data between the driver and the processes that train."""

from __future__ import annotations

from nas.jobs.job import (
    Control,
    Curve,
    EndReason,
    Epoch,
    Executor,
    Failure,
    FailureKind,
    Handle,
    Job,
    Outcome,
    PackControl,
    Parent,
    Runner,
    controls_of,
    curve_seconds,
    in_step,
    repeat_folder,
    validated_part,
)

__all__ = [
    "Control",
    "Curve",
    "EndReason",
    "Epoch",
    "Executor",
    "Failure",
    "FailureKind",
    "Handle",
    "Job",
    "Outcome",
    "PackControl",
    "Parent",
    "Runner",
    "controls_of",
    "curve_seconds",
    "in_step",
    "repeat_folder",
    "validated_part",
]
