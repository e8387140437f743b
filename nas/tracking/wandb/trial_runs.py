"""W&B runs of trials: one for each, which gets an epoch's scores while the trial trains."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import wandb

from nas.tracking.recorder import Row
from nas.tracking.wandb.keys import trial_config, trial_summary
from nas.tracking.wandb.run_folders import read_recorded, run_folders
from nas.tracking.wandb.settings import open_run

RUNNING = "running"
"""State of a trial whose search ended before it did."""


@dataclass
class _Open:
    run: wandb.Run
    epochs: int


@final
class TrialRuns:
    """Runs of the trials of a study, each open from its first epoch to its end."""

    def __init__(self, start: Mapping[str, Any]) -> None:
        """Open none yet.

        Args:
            start: the driver's start message.
        """
        self._start = start
        self._folder = Path(start["folder"]) / "wandb"
        self._open: dict[int, _Open] = {}

    def folders(self) -> list[Path]:
        """Return the folders of the open runs."""
        return [Path(each.run.dir).parent for each in self._open.values()]

    def add_epochs(self, part: Row) -> None:
        """Record the epochs of a running trial that are new."""
        opened = self._open.get(part["trial"]) or self._opened(part)
        for epoch in part["curve"]:
            if epoch["epoch"] > opened.epochs:
                known = {name: value for name, value in epoch.items() if value is not None}
                opened.run.log(known, step=epoch["epoch"], commit=True)
                opened.epochs = epoch["epoch"]

    def end(self, row: Row, recorded: Collection[int]) -> None:
        """Record the end of a trial, unless an earlier search recorded all of it.

        Args:
            row: the trial's row.
            recorded: numbers of the trials that an earlier search recorded.
        """
        number = row["trial"]
        if number not in self._open and self._was_ended(number, recorded):
            return
        self.add_epochs(row)
        run = self._open.pop(number).run
        run.summary.update(trial_summary(row))
        run.finish(exit_code=1 if row["state"] == "failed" else 0)

    def close(self) -> None:
        """Close the runs of the trials that have not ended; a later search opens them again."""
        for opened in self._open.values():
            opened.run.summary["state"] = RUNNING
            opened.run.finish()
        self._open.clear()

    def _was_ended(self, number: int, recorded: Collection[int]) -> bool:
        earlier = run_folders(self._folder, self._id(number))
        return bool(earlier) and (number in recorded or read_recorded(earlier).state not in {None, RUNNING})

    def _opened(self, part: Row) -> _Open:
        number = part["trial"]
        earlier = read_recorded(run_folders(self._folder, self._id(number)))
        run = open_run(self._start, self._id(number), f"{self._start['study']}-{number}", "trial", trial_config(part))
        run.define_metric("*", step_metric="epoch")
        self._open[number] = _Open(run, earlier.epochs)
        return self._open[number]

    def _id(self, number: int) -> str:
        return f"{self._start['id']}-{number}"
