"""W&B runs of a study, the only importer of wandb: one run for the study and, if asked for, one for each trial.

Everything is recorded offline, into the study's folder, and so never waits for a network; the uploads read that folder.
A resumed search opens another folder of the same run, as W&B does, and records exactly the trials that no earlier
folder holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import wandb

from nas.tracking.rows import Row
from nas.tracking.wandb.front_figure import front_figure
from nas.tracking.wandb.run_folders import read_recorded, remove_empty, run_folders

FLUSH_SECONDS = 2.0
KILLED = "killed"


def minimal_settings() -> wandb.Settings:
    """Return settings that record nothing of the machine, console, code and packages, which the study has already."""
    return wandb.Settings(
        console="off",
        silent=True,
        symlink=False,
        disable_git=True,
        disable_code=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_disable_machine_info=True,
        x_save_requirements=False,
        x_transaction_log_flush_interval=FLUSH_SECONDS,
    )


@final
class StudyRun:
    """Open W&B run of a study."""

    def __init__(self, start: Mapping[str, Any]) -> None:
        """Open the run, and record the ended trials that are in no folder yet.

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
        self._rows_in_figure = -1
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
        self._define()
        for row in start["rows"]:
            self.add(row)

    def add(self, row: Row) -> None:
        """Record an ended trial, unless it is recorded already."""
        self._rows.append(row)
        if self._start["trials"]:
            self._record_trial(row)
        if row["trial"] not in self._recorded:
            self._log(study_row(row))
            self._recorded.add(row["trial"])

    def record_front(self) -> None:
        """Record the front as a table and a figure, if trials have ended since the last call."""
        if self._rows_in_figure == len(self._rows) or not self._rows:
            return
        self._rows_in_figure = len(self._rows)
        members = self._rows[-1]["so_far"]["front"]
        figure = front_figure(self._rows, members, self._start["axes"])
        self._log({"front/picture": wandb.Plotly(figure), "front/table": self._table(members)})

    def finish(self, end: Mapping[str, Any] | None) -> None:
        """Record the totals and the front of the ended search, and close the run.

        Args:
            end: the driver's end message; None if the driver was killed.
        """
        self.record_front()
        if end is None:
            self._run.summary["ended"] = KILLED
            self._run.finish(exit_code=1)
            return
        totals = end["totals"]
        self._run.summary.update(
            {
                "ended": totals["reason"],
                "hypervolume": totals["hypervolume"],
                "front/size": len(end["front"]["front"]),
                **picked("best", totals["best"]),
                **picked("knee", totals["knee"]),
                "front/trials": [member["trial"] for member in end["front"]["front"]],
                **{f"count/{name}": count for name, count in totals["counts"].items()},
            }
        )
        if end["front"]["front"]:
            self._run.log_artifact(self._artifact(end["front"]))
        self._run.finish()

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

    def _table(self, members: list[int]) -> wandb.Table:
        by_number = {row["trial"]: row for row in self._rows}
        rows = [by_number[number] for number in members]
        values = [axis["name"] for axis in self._start["axes"]]
        costs = [name for name in self._rows[-1]["costs"] if name not in values]
        data = [
            [
                row["trial"],
                *(row["values"][name] for name in values),
                *(row["costs"][name] for name in costs),
                row["summary"],
                row["id"],
            ]
            for row in rows
        ]
        return wandb.Table(columns=["trial", *values, *costs, "architecture", "id"], data=data)

    def _artifact(self, front: Mapping[str, Any]) -> wandb.Artifact:
        """Return an artifact with the architectures of the front, a JSON file each, and the front as one document."""
        artifact = wandb.Artifact(f"front-{self._start['id']}", type="architectures")
        documents = {f"trial-{member['trial']:05d}.json": member["architecture"] for member in front["front"]}
        for name, document in {**documents, "front.json": front}.items():
            with artifact.new_file(name, mode="w", encoding="utf-8") as file:
                json.dump(document, file, indent=2)
        return artifact

    def _record_trial(self, row: Row) -> None:
        """Record a trial as a run of its own, unless an earlier search recorded all of it."""
        run_id = f"{self._start['id']}-{row['trial']}"
        earlier = run_folders(self._folder, run_id)
        if earlier and (row["trial"] in self._recorded or read_recorded(earlier).ended):
            return
        run = wandb.init(
            dir=self._start["folder"],
            project=self._start["project"],
            entity=self._start["entity"],
            id=run_id,
            name=f"{self._start['study']}-{row['trial']}",
            group=self._start["id"],
            job_type="trial",
            config=trial_config(row),
            mode="offline",
            reinit="create_new",
            settings=minimal_settings(),
        )
        run.define_metric("*", step_metric="epoch")
        for epoch in row["curve"]:
            known = {name: value for name, value in epoch.items() if value is not None}
            run.log(known, step=epoch["epoch"], commit=True)
        run.summary.update(trial_summary(row))
        run.finish(exit_code=1 if row["state"] == "failed" else 0)


def study_row(row: Row) -> dict[str, Any]:
    """Return a trial's row in the history of the study's run."""
    so_far = row["so_far"]
    return {
        "trial": row["trial"],
        "state": row["state"],
        "architecture": row["summary"],
        **{f"value/{name}": value for name, value in row["values"].items()},
        **{f"cost/{name}": value for name, value in row["costs"].items()},
        "training/seconds": row["seconds"],
        "training/epochs": row["epochs"],
        **{f"count/{name}": count for name, count in so_far["counts"].items()},
        **({} if so_far["front"] is None else _front_so_far(so_far)),
        "trials_ended": sum(so_far["counts"][state] for state in ("complete", "pruned", "failed")),
        "compute_seconds": so_far["compute_seconds"],
        "time/clock_seconds": so_far["clock_seconds"],
    }


def _front_so_far(so_far: Mapping[str, Any]) -> dict[str, Any]:
    hypervolume = so_far["hypervolume"]
    return {
        "front/size": len(so_far["front"]),
        "hypervolume/by_trials": hypervolume,
        "hypervolume/by_compute": hypervolume,
        "hypervolume/by_clock": hypervolume,
        **picked("best", so_far["best"]),
        **picked("knee", so_far["knee"]),
    }


def picked(name: str, chosen: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a picked network's number, architecture, values and costs, all under one name; empty for none.

    >>> picked("best", {"trial": 3, "id": "a", "summary": "3:8", "values": {"acc": 0.9}, "believed": {}, "costs": {}})
    {'best/trial': 3, 'best/id': 'a', 'best/architecture': '3:8', 'best/acc': 0.9}
    """
    if chosen is None:
        return {}
    return {
        f"{name}/trial": chosen["trial"],
        f"{name}/id": chosen["id"],
        f"{name}/architecture": chosen["summary"],
        **{f"{name}/{key}": value for key, value in (chosen["values"] | chosen["costs"]).items()},
        **{f"{name}/believed_{key}": value for key, value in chosen["believed"].items()},
    }


def trial_config(row: Row) -> dict[str, Any]:
    """Return the configuration of a trial's run, with each choice of its architecture under a key of its own.

    Panels such as parallel coordinates read keys without a nested document; W&B takes a dot for nesting, so that the
    parts of a choice's path are separated by slashes.
    """
    kept = {name: row[name] for name in ("trial", "id", "network_id", "summary", "costs", "seed", "architecture")}
    return kept | {choice_key(path): value for path, value in row["choices"].items()}


def choice_key(path: str) -> str:
    """Return the key of a choice in a configuration or a table.

    >>> choice_key("stage1.block0.k5.form")
    'choice/stage1/block0/k5/form'
    """
    return f"choice/{path.replace('.', '/')}"


def trial_summary(row: Row) -> dict[str, Any]:
    """Return the summary of a trial's run."""
    return {
        "state": row["state"],
        "failure": row["failure"],
        "training_seconds": row["seconds"],
        **{f"value/{name}": value for name, value in row["values"].items()},
        **{f"cost/{name}": value for name, value in row["costs"].items()},
    }
