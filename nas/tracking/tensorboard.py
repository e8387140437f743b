"""TensorBoard: event files of the study, of each trial with its choices as hyper-parameters, and of results.

The package is loaded in the recording process alone.
"""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, final

from nas.config.tracking import TrackingSpec
from nas.jobs.links import refuse_links
from nas.study.study import Study
from nas.tracking.extras import check_installed
from nas.tracking.front_picture import front_picture
from nas.tracking.numbers import end_numbers, study_numbers, trial_numbers
from nas.tracking.recorder import Message, Row
from nas.tracking.recording import Recording, RecordingTracker

FOLDER = "tensorboard"
STUDY, TRIALS = "study", "trials"
BY_SECONDS = ("hypervolume", "best/", "knee/")
"""Beginnings of the keys that also have an axis of training seconds."""

log = logging.getLogger(__name__)


def make(spec: TrackingSpec, study: Study, circumstances: Mapping[str, Any]) -> RecordingTracker:
    """Return a tracker that writes event files of TensorBoard.

    Args:
        spec: whether trials get their curves while they train, and times.
        study: the study.
        circumstances: configuration of the search, as JSON without folder names and passwords.
    """
    return RecordingTracker(spec, study, circumstances, recording(spec, study))


def recording(_spec: TrackingSpec, study: Study) -> Recording:
    """Return the place of a study's event files.

    Args:
        study: the study.

    Raises:
        ValueError: TensorBoard is not installed.
    """
    check_installed("tensorboard", FOLDER)
    folder = study.folder / FOLDER
    for name in (STUDY, TRIALS):
        refuse_links(study.folder, folder / name)
    report = partial(_log_place, folder)
    return Recording("TensorBoard", __name__, folder, {}, report)


def _log_place(folder: Path, _status: Mapping[str, Any]) -> None:
    log.info("TensorBoard files in %s, view them with: tensorboard --logdir %s", folder, shlex.quote(str(folder)))


def open_recorder(start: Message) -> TensorboardRecorder:
    """Return the recorder of a search.

    Args:
        start: the driver's start message.
    """
    return TensorboardRecorder(start)


def record_results(start: Message) -> Mapping[str, Any]:
    """Record the results of a command in a folder each.

    Args:
        start: the driver's start message.
    """
    root = Path(start["folder"]) / FOLDER
    for result in start["results"]:
        with _writer(root / start["command"] / result["name"]) as writer:
            for name, value in result["summary"].items():
                writer.add_scalar(name, value, 0)
            for row in result["rows"]:
                for name, value in row.items():
                    writer.add_scalar(f"by_seed/{name}", value, row.get("seed", 0))
    return {}


def _writer(folder: Path) -> Any:
    return import_module("torch.utils.tensorboard").SummaryWriter(str(folder))


def read_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the steps and values in a folder's event files by their keys; those that reached the disk."""
    module = import_module("tensorboard.backend.event_processing.event_accumulator")
    events = module.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {key: [(e.step, e.value) for e in events.Scalars(key)] for key in events.Tags()["scalars"]}


@final
class TensorboardRecorder:
    """Recorder of one search."""

    def __init__(self, start: Message) -> None:
        """Open the study's files.

        Args:
            start: the driver's start message.
        """
        self._start = start
        self._root = Path(start["folder"]) / FOLDER
        known = read_scalars(self._root / STUDY) if (self._root / STUDY).is_dir() else {}
        self._recorded = {int(value) for _, value in known.get("trial", [])}
        self._study = _writer(self._root / STUDY)
        self._rows: list[Row] = []
        self._shown = 0
        self._front: list[int] = []
        self._writers: dict[int, Any] = {}
        self._epochs: dict[int, int] = {}

    def add(self, row: Row) -> None:
        """Record an ended trial, unless it is recorded already."""
        self._rows.append(row)
        self._front = row["so_far"]["front"] or self._front
        if row["trial"] in self._recorded:
            return
        self.add_epochs({"trial": row["trial"], "curve": row.get("curve", [])})
        self._end_trial(row)
        so_far = row["so_far"]
        self._write(study_numbers(row), len(self._rows), so_far["compute_seconds"])
        self._recorded.add(row["trial"])

    def _write(self, numbers: Mapping[str, float], trials: int, seconds: float) -> None:
        for name, value in numbers.items():
            self._study.add_scalar(name, value, trials)
            if name.startswith(BY_SECONDS):
                self._study.add_scalar(f"by_seconds/{name}", value, round(seconds))

    def add_epochs(self, part: Row) -> None:
        """Record epochs of a running trial."""
        number = part["trial"]
        writer = self._writer_of(number)
        for epoch in part["curve"]:
            known = {name: value for name, value in epoch.items() if value is not None and name != "epoch"}
            for name, value in known.items() if epoch["epoch"] > self._epochs[number] else ():
                writer.add_scalar(name, value, epoch["epoch"])
            self._epochs[number] = max(self._epochs[number], epoch["epoch"])
        writer.flush()

    def _writer_of(self, number: int) -> Any:
        if number not in self._writers:
            folder = self._root / TRIALS / f"{number:05d}"
            known = read_scalars(folder) if folder.is_dir() else {}
            self._epochs[number] = max((step for step, _ in known.get("train_loss", [])), default=0)
            self._writers[number] = _writer(folder)
        return self._writers[number]

    def _end_trial(self, row: Row) -> None:
        """Record the choices as hyper-parameters and the values as their metrics, and close the trial's files."""
        writer = self._writers.pop(row["trial"])
        numbers = trial_numbers(row)
        choices = {path: value for path, value in row["choices"].items() if value is not None}
        for part in import_module("torch.utils.tensorboard.summary").hparams(choices, numbers):
            writer.file_writer.add_summary(part)
        for name, value in numbers.items():
            writer.add_scalar(name, value, 0)
        writer.add_text("architecture", f"    {row['summary']}")  # indented, Markdown takes it for code
        writer.close()

    def show(self) -> None:
        """Record a picture of the front, if trials have ended since the last call."""
        if self._shown != len(self._rows):
            self._shown = len(self._rows)
            figure = front_picture(self._rows, self._front, self._start["axes"])
            self._study.add_figure("front", figure, self._shown, close=False)
        self._study.flush()

    def poll(self) -> None:
        """Do nothing: the files are written as rows come."""

    def finish(self, end: Message | None) -> Mapping[str, Any]:
        """Record the front, best and knee at the end, and close all files."""
        self.show()
        if end is not None and self._rows:
            self._write(end_numbers(end["totals"]), len(self._rows), self._rows[-1]["so_far"]["compute_seconds"])
        for writer in [*self._writers.values(), self._study]:
            writer.close()
        return {}
