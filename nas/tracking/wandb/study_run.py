"""W&B run of a study.

Everything is recorded offline, into the study's folder, and so never waits for a network; the uploads read that folder.
A resumed search opens another folder of the same run, as W&B does, and records exactly the trials that no earlier
folder holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import wandb

from nas.tracking.recorder import Row
from nas.tracking.wandb.artifacts import front_artifact, network_artifacts
from nas.tracking.wandb.keys import end_summary, study_row
from nas.tracking.wandb.run_folders import read_recorded, remove_empty, run_folders
from nas.tracking.wandb.settings import minimal_settings
from nas.tracking.wandb.tables import front_panels, trials_table
from nas.tracking.wandb.trial_runs import TrialRuns

KILLED = "killed"
TABLE_GROWTH = 1.25
"""Growth of the study after which its table of trials is recorded once more, so that all tables take linear space."""


@final
class StudyRun:
    """Open W&B run of a study, and the runs of its trials if these are asked for."""

    def __init__(self, start: Mapping[str, Any]) -> None:
        """Open the run.

        Args:
            start: the driver's start message.
        """
        self._start = start
        self._folder = Path(start["folder"]) / "wandb"
        remove_empty(self._folder)
        earlier = run_folders(self._folder, start["id"])
        recorded = read_recorded(earlier)
        self._recorded, self._step = set(recorded.trials), recorded.steps
        self._rows: list[Row] = []
        self._front: list[int] = []
        self._rows_shown = self._rows_in_table = 0
        self._run = wandb.init(
            dir=start["folder"],
            project=start["project"],
            entity=start["entity"],
            id=start["id"],
            name=start["study"],
            group=start["id"],
            job_type="study",
            config=start["config"],
            mode="offline",
            resume="allow" if earlier else None,
            settings=minimal_settings(),
        )
        self.folder = Path(self._run.dir).parent
        self.trials = TrialRuns(start) if start["trials"] else None
        self._define()

    def add(self, row: Row) -> None:
        """Record an ended trial, unless it is recorded already."""
        self._rows.append(row)
        self._front = row["so_far"]["front"] or self._front
        if self.trials is not None:
            self.trials.end(row, self._recorded)
            del row["curve"]  # thousands of rows stay
        if row["trial"] not in self._recorded:
            self._log(study_row(row))
            self._recorded.add(row["trial"])

    def show(self) -> None:
        """Record front and trials as tables and pictures, if trials have ended since the last call."""
        if self._rows_shown == len(self._rows):
            return
        self._rows_shown = len(self._rows)
        axes = self._start["axes"]
        panels = front_panels(self._rows, self._front, axes)
        if len(self._rows) >= TABLE_GROWTH * self._rows_in_table:
            self._rows_in_table = len(self._rows)
            panels["trials/table"] = trials_table(self._rows, self._front, axes)
        self._log(panels)

    def open_folders(self) -> list[Path]:
        """Return the folders of the runs of trials that are being written."""
        return [] if self.trials is None else self.trials.folders()

    def finish(self, end: Mapping[str, Any] | None) -> None:
        """Record the totals, the front and its networks, and close the run.

        Args:
            end: the driver's end message; None if the driver was killed.
        """
        if self.trials is not None:
            self.trials.close()
        if end is None:
            self._show_all()
            self._run.summary["ended"] = KILLED
            self._run.finish(exit_code=1)
            return
        self._take_means(end["front"]["front"])
        self._show_all()
        self._run.summary.update(end_summary(end))
        if end["front"]["front"]:
            self._run.log_artifact(front_artifact(self._start["id"], end["front"]))
        for artifact in network_artifacts(self._start["id"], self._folder.parent, end["networks"]):
            self._run.log_artifact(artifact)
        self._run.finish()

    def _take_means(self, members: Sequence[Mapping[str, Any]]) -> None:
        """Show the front of the study's end, whose values are means over all trainings of a network."""
        by_number = {row["trial"]: row for row in self._rows}
        known = [member for member in members if member["trial"] in by_number]  # an import beside the search has no row
        for member in known:
            by_number[member["trial"]]["values"] = member["values"]
        self._front = [member["trial"] for member in known]

    def _show_all(self) -> None:
        if self._rows:
            axes, front = self._start["axes"], self._front
            table = {"trials/table": trials_table(self._rows, front, axes)}
            self._log(front_panels(self._rows, front, axes) | table)

    def _define(self) -> None:
        """Set the x axis of each recorded value; the summary keeps none of a single trial's values.

        A summary holds the last row of each key by default, so that the values of whatever trial ended last would stand
        beside the study's totals.
        """
        for name in ("trial", "state", "architecture"):
            self._run.define_metric(name, hidden=True, summary="none")
        for group in ("value", "cost", "training"):
            self._run.define_metric(f"{group}/*", step_metric="trial", summary="none")
        self._run.define_metric("trials_ended", hidden=True)
        for name in ("count/*", "front/size", "hypervolume/by_trials", "best/*", "knee/*"):
            self._run.define_metric(name, step_metric="trials_ended")
        for seconds in ("compute_seconds", "time/clock_seconds"):
            self._run.define_metric(seconds)
        self._run.define_metric("hypervolume/by_compute", step_metric="compute_seconds")
        self._run.define_metric("hypervolume/by_clock", step_metric="time/clock_seconds")

    def _log(self, values: Mapping[str, Any]) -> None:
        self._run.log(dict(values), step=self._step, commit=True)
        self._step += 1
