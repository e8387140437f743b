"""Log of a training: the network, the device and a line for each epoch, on standard error of its process.

A worker process has its standard error in `log.txt` of the trial's folder.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import final

from nas.jobs import Control, Epoch, Job, in_step


def log_line(text: str) -> None:
    """Write a line with the time to standard error."""
    sys.stderr.write(f"{datetime.now().astimezone().isoformat(timespec='seconds')} {text}\n")
    sys.stderr.flush()


@final
class LoggedControl:
    """Control of a training that logs each epoch and passes it on."""

    def __init__(self, control: Control, job: Job, name: str) -> None:
        """Begin before the first epoch.

        Args:
            control: the control that decides.
            job: the job.
            name: name of the training in the log, which a pack shares; empty for a training alone.
        """
        self._control = control
        self._job = job
        self._name = f"{name}: " if name else ""

    @property
    def in_step(self) -> bool:
        """True if the training waits for reports, as the control says."""
        return in_step(self._control)

    def epoch_done(self, row: Epoch) -> None:
        """Log the epoch, and report it."""
        measured = {"train loss": row.train_loss, "val loss": row.val_loss, "val accuracy": row.val_accuracy}
        known = [f"{name} {value:.4f}" for name, value in measured.items() if value is not None]
        log_line(f"{self._name}epoch {row.epoch}/{self._job.to_epoch}: {', '.join(known)}, {row.seconds:.2f} s")
        self._control.epoch_done(row)

    def should_stop(self) -> bool:
        """Return the control's decision."""
        return self._control.should_stop()


def training_name(job: Job) -> str:
    """Return the name of a training: its trial, a negative number being a baseline's, and its repeat if it is one."""
    if job.trial < 0:
        return f"baseline {-job.trial}"
    return f"trial {job.trial}" + (f" repeat {job.repeat}" if job.repeat else "")
