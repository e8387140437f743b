"""MLflow: one run for the study, and below it one for each trial and each result of a command.

The store is a SQLite file in the study's folder, or a server whose address is the option `uri`. The package is loaded
in the recording process alone.
"""

from __future__ import annotations

import json
import logging
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, cast, final

from nas.config.tracking import TrackingSpec
from nas.jobs.files import write_text
from nas.jobs.links import refuse_links
from nas.study.study import Study
from nas.tracking.drawings import drawing
from nas.tracking.extras import check_installed
from nas.tracking.front_picture import front_picture
from nas.tracking.numbers import end_numbers, flat, study_numbers, trial_numbers
from nas.tracking.recorder import Message, Row
from nas.tracking.recording import Recording, RecordingTracker

FOLDER = "mlflow"
RUN_FILE, DATABASE, ARTIFACTS = "run.json", "mlflow.db", "artifacts"
PARENT, TRIAL = "mlflow.parentRunId", "nas.trial"
MOST_AT_ONCE = 100
"""Parameters and metrics of one request; the store refuses more parameters."""

LONGEST_TEXT = 500
STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
"""States of a run by those of a trial."""

log = logging.getLogger(__name__)


def make(
    spec: TrackingSpec, study: Study, circumstances: Mapping[str, Any], uri: str | None = None
) -> RecordingTracker:
    """Return a tracker that records in MLflow.

    Args:
        spec: project, whether trials get their curves while they train, and times.
        study: the study.
        circumstances: configuration of the run, as JSON without folder names and passwords.
        uri: address of a tracking server; None for a file in the study's folder.
    """
    return RecordingTracker(spec, study, circumstances, recording(spec, study, uri))


def recording(spec: TrackingSpec, study: Study, uri: str | None = None) -> Recording:
    """Return place and settings of a study's MLflow runs.

    Args:
        spec: the tracker of its search.
        study: the study.
        uri: address of a tracking server; None for the option of that name.

    Raises:
        ValueError: MLflow is not installed.
    """
    check_installed("mlflow", FOLDER)
    folder = study.folder / FOLDER
    for name in (DATABASE, ARTIFACTS, RUN_FILE):
        refuse_links(study.folder, folder / name)
    uri = uri or spec.options.get("uri")
    store = f"sqlite:///{(folder / DATABASE).resolve()}"
    start = {"uri": uri or store, "artifacts": None if uri else str((folder / ARTIFACTS).resolve())}
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_TRACKING_URI": None}
    view = f", view it with: mlflow ui --backend-store-uri {shlex.quote(store)}"
    shown = f"MLflow run in {folder}" + ("" if uri else view)
    report = partial(_log_place, shown)
    return Recording("MLflow", __name__, folder, {"project": spec.project, **start}, report, quiet)


def _log_place(shown: str, _status: Mapping[str, Any]) -> None:
    log.info("%s", shown)


def open_recorder(start: Message) -> MlflowRecorder:
    """Return the recorder of a search.

    Args:
        start: the driver's start message.
    """
    return MlflowRecorder(start)


def record_results(start: Message) -> Mapping[str, Any]:
    """Record the results of a command as runs below the study's.

    Args:
        start: the driver's start message.
    """
    store = Store(start)
    for result in start["results"]:
        network: Mapping[str, Any] = result["network"]
        name = "-".join(filter(None, [start["study"], result["name"], start["command"]]))
        run = store.open(name, {"nas.job": start["command"], **({TRIAL: result["name"]} if network else {})})
        store.set_parameters(run, network.get("choices", {}))
        store.log(run, result["summary"])
        for step, row in enumerate(result["rows"]):
            store.log(run, {f"by_seed/{key}": value for key, value in row.items()}, step)
        for path in result["files"].values():
            store.client.log_artifact(run, path)
        store.end(run, "complete")
    return {}


@final
class Store:
    """Runs of one study in a tracking store."""

    def __init__(self, start: Message) -> None:
        """Open the study's run, the same for every search of the study.

        Args:
            start: the driver's start message.
        """
        self._entities = import_module("mlflow.entities")
        self.client = import_module("mlflow").MlflowClient(tracking_uri=start["uri"])
        found = self.client.get_experiment_by_name(start["project"])
        self._experiment = (
            found.experiment_id
            if found
            else self.client.create_experiment(start["project"], artifact_location=start["artifacts"])
        )
        file = Path(start["folder"]) / FOLDER / RUN_FILE
        self.is_new = not file.exists()
        self.study = "" if self.is_new else cast(str, json.loads(file.read_text(encoding="utf-8"))["id"])
        if self.is_new:
            self.study = self._create(start["study"], {"nas.job": "study"})
            write_text(file, json.dumps({"id": self.study}) + "\n")
        self.began = self.client.get_run(self.study).info.start_time

    def open(self, name: str, tags: Mapping[str, str]) -> str:
        """Return the id of a new run below the study's.

        Args:
            name: its name.
            tags: its tags.
        """
        return self._create(name, {PARENT: self.study, **tags})

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        return cast(str, self.client.create_run(self._experiment, run_name=name, tags=dict(tags)).info.run_id)

    def trials(self) -> dict[int, Any]:
        """Return the recorded runs of trials by number."""
        found, token = {}, None
        while True:
            page = self.client.search_runs(
                [self._experiment], f"tags.`{PARENT}` = '{self.study}'", max_results=1000, page_token=token
            )
            for run in page:
                if run.data.tags.get("nas.job") == "trial":
                    found[int(run.data.tags[TRIAL])] = run
            token = page.token
            if not token:
                return found

    def log(self, run: str, values: Mapping[str, Any], step: int = 0, milliseconds: int | None = None) -> None:
        """Record the numbers among values.

        Args:
            run: id of the run.
            values: values by key.
            step: the step.
            milliseconds: time of the values; None for now.
        """
        now = int(1000 * time.time()) if milliseconds is None else milliseconds
        numbers = [(key, float(value)) for key, value in values.items() if isinstance(value, int | float)]
        for part in _parts(numbers):
            metrics = [self._entities.Metric(key, value, now, step) for key, value in part]
            self.client.log_batch(run, metrics=metrics)

    def set_parameters(self, run: str, values: Mapping[str, Any]) -> None:
        """Record the parameters of a run, which MLflow lets nobody change."""
        for part in _parts(list(values.items())):
            parameters = [self._entities.Param(key, str(value)[:LONGEST_TEXT]) for key, value in part]
            self.client.log_batch(run, params=parameters)

    def end(self, run: str, state: str) -> None:
        """End a run, in the state of its trial."""
        self.client.set_terminated(run, STATUS[state])


def _parts(items: Sequence[tuple[str, Any]]) -> Iterator[Sequence[tuple[str, Any]]]:
    for place in range(0, len(items), MOST_AT_ONCE):
        yield items[place : place + MOST_AT_ONCE]


@final
class MlflowRecorder:
    """Recorder of one search."""

    def __init__(self, start: Message) -> None:
        """Open the study's run.

        Args:
            start: the driver's start message.
        """
        self._start = start
        self._store = Store(start)
        self._rows: list[Row] = []
        self._shown = 0
        self._front: list[int] = []
        known = self._store.trials()
        self._open = {number: run.info.run_id for number, run in known.items() if run.info.status == "RUNNING"}
        self._ended = known.keys() - self._open.keys()
        self._epochs = {number: int(known[number].data.metrics.get("epoch", 0)) for number in self._open}
        if self._store.is_new:
            self._store.set_parameters(self._store.study, flat(start["config"]))
        self._store.client.update_run(self._store.study, status="RUNNING")
        self._write("config.json", start["config"])

    def add(self, row: Row) -> None:
        """Record an ended trial as a run and as a step of the study's, unless it is recorded already."""
        self._rows.append(row)
        self._front = row["so_far"]["front"] or self._front
        number = row["trial"]
        if number in self._ended:
            return
        run = self._run(row)
        self.add_epochs({"trial": number, "curve": row.get("curve", [])})
        self._store.log(run, trial_numbers(row))
        self._store.client.set_tag(run, "nas.state", row["state"])
        so_far = row["so_far"]
        milliseconds = self._store.began + int(1000 * so_far["clock_seconds"])
        ended = sum(so_far["counts"][state] for state in STATUS)
        self._store.log(self._store.study, study_numbers(row), ended, milliseconds)
        self._store.end(run, row["state"])
        self._ended.add(number)

    def add_epochs(self, part: Row) -> None:
        """Record epochs of a running trial."""
        run = self._run(part)
        for epoch in part["curve"]:
            if epoch["epoch"] > self._epochs.get(part["trial"], 0):
                self._store.log(run, epoch, epoch["epoch"])
                self._epochs[part["trial"]] = epoch["epoch"]

    def show(self) -> None:
        """Record a picture of the front, and drawings of its networks, if trials have ended since the last call."""
        if self._shown == len(self._rows):
            return
        self._shown = len(self._rows)
        figure = front_picture(self._rows, self._front, self._start["axes"])
        self._store.client.log_figure(self._store.study, figure, "front.png")

    def poll(self) -> None:
        """Do nothing: everything is recorded at once."""

    def finish(self, end: Message | None) -> Mapping[str, Any]:
        """Record the front, its drawings and the best networks, and end the study's run."""
        store, study = self._store, self._store.study
        self.show()
        if end is None:
            store.client.set_terminated(study, "KILLED")
            return {}
        store.log(study, end_numbers(end["totals"]), sum(row["trial"] in self._ended for row in self._rows))
        self._write("front.json", end["front"])
        for member in end["front"]["front"]:
            if (svg := drawing(member)) is not None:
                store.client.log_text(study, svg, f"drawings/trial-{member['trial']:05d}.svg")
        for role, network in end["networks"].items():
            self._write(f"networks/{role}/architecture.json", network["architecture"])
            if network["weights"] is not None:
                path = Path(self._start["folder"]) / network["weights"]
                store.client.log_artifact(study, str(path), f"networks/{role}")
        for role in ("best", "knee"):
            if (chosen := end["totals"][role]) is not None:
                store.client.set_tag(study, f"{role}.architecture", chosen["summary"])
        store.client.set_tag(study, "nas.ended", end["totals"]["reason"])
        store.client.set_terminated(study)
        return {}

    def _run(self, part: Row) -> str:
        number = part["trial"]
        if number not in self._open:
            name = f"{self._start['study']}-{number}"
            run = self._store.open(name, {"nas.job": "trial", TRIAL: str(number), "nas.architecture": part["summary"]})
            known = {name: part[name] for name in ("trial", "id", "network_id", "seed")}
            self._store.set_parameters(run, known | part["choices"])
            self._open[number] = run
        return str(self._open[number])

    def _write(self, name: str, document: Any) -> None:
        self._store.client.log_text(self._store.study, json.dumps(document, indent=2), name)
