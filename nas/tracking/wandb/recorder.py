"""Recorder of Weights & Biases: the study's run, the runs of its trials, and their uploads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from nas.tracking.recorder import Message, Row
from nas.tracking.wandb.result_runs import write_results
from nas.tracking.wandb.study_run import StudyRun
from nas.tracking.wandb.upload import Uploader


def open_recorder(start: Message) -> WandbRecorder:
    """Return the recorder of a search.

    Args:
        start: the driver's start message.
    """
    return WandbRecorder(start)


def record_results(start: Message) -> Mapping[str, Any]:
    """Record the results of a command, and upload them unless a search of the study uploads everything.

    Args:
        start: the driver's start message.
    """
    folders = write_results(start)
    uploader = None
    if start["mode"] == "online" and start["upload"]:
        uploader = Uploader(Path(start["folder"]) / "wandb", folders[-1])
    uploaded = uploader.finish(start["finish_seconds"]) if uploader else False
    return {"uploaded": uploaded, "url": uploader.url(start["id"]) if uploader else None}


@final
class WandbRecorder:
    """Recorder of one search, which uploads while it records if a key is configured."""

    def __init__(self, start: Message) -> None:
        """Open the study's run.

        Args:
            start: the driver's start message.
        """
        self._start = start
        self._run = StudyRun(start)
        folder = Path(start["folder"]) / "wandb"
        self._uploader = Uploader(folder, self._run.folder) if start["mode"] == "online" else None

    def add(self, row: Row) -> None:
        """Record an ended trial, unless it is recorded already."""
        self._run.add(row)

    def add_epochs(self, part: Row) -> None:
        """Record epochs of a running trial in its own run."""
        if self._run.trials is not None:
            self._run.trials.add_epochs(part)

    def show(self) -> None:
        """Record front and trials as tables and pictures."""
        self._run.show()

    def poll(self) -> None:
        """Start the uploads that are due."""
        if self._uploader:
            self._uploader.poll(self._run.open_folders())

    def finish(self, end: Message | None) -> Mapping[str, Any]:
        """Record the end, close the runs, and wait for the uploads."""
        self._run.finish(end)
        uploader = self._uploader
        uploaded = uploader.finish(self._start["finish_seconds"]) if uploader else False
        return {"uploaded": uploaded, "url": uploader.url(self._start["id"]) if uploader else None}
