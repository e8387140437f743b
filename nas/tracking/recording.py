"""Driver's side of a tracker that records in a process of its own: rows into a pipe, without waiting.

A failure of that process costs the search one warning line.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, final

from nas.config.tracking import TrackingSpec
from nas.jobs import EndReason
from nas.jobs.links import refuse_links
from nas.study.progress import Progress
from nas.study.study import Study
from nas.study.summary import front_document
from nas.study.trial import Record
from nas.tracking.live_curves import LiveCurves
from nas.tracking.networks import kept_networks
from nas.tracking.pipe import Ended, RecordingProcess
from nas.tracking.rows import RowBuilder, standing

PACKAGES = Path(__file__).resolve().parents[2]
"""Folder of our packages; the process imports nothing from its working directory."""

LOG_FILE = "tracking.log"
RECORDING_SECONDS = 60.0
ERROR = "error"
"""End of a search by an error, whose text may name folders."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """Place and settings of a tracker's recordings of one study.

    Attributes:
        title: name of the tracker in messages.
        module: module with the recorder.
        folder: folder of the recordings in the study's folder.
        start: what the recorder needs to know, as JSON.
        report: called with the recorder's status, says where the recording is.
        environment: environment variables beside those of the driver; None takes one away.
        seconds: longest wait for the recorder at the end, beside that for the recording itself.
    """

    title: str
    module: str
    folder: Path
    start: Mapping[str, Any]
    report: Callable[[Mapping[str, Any]], None]
    environment: Mapping[str, str | None] = field(default_factory=dict)
    seconds: float = 0.0

    def process(self) -> RecordingProcess:
        """Start the recording process."""
        self.folder.mkdir(exist_ok=True)
        refuse_links(self.folder.parent, self.folder)
        return RecordingProcess(self.module, self.folder / LOG_FILE, self.variables())

    def variables(self) -> dict[str, str]:
        """Return the environment variables of the recording process, without the database's address."""
        path = os.pathsep.join(filter(None, [str(PACKAGES), os.environ.get("PYTHONPATH", "")]))
        known = {**os.environ, **self.environment, "PYTHONPATH": path, "NAS_STORAGE_URL": None}
        return {name: value for name, value in known.items() if value is not None}

    def close(self, process: RecordingProcess) -> None:
        """Wait until everything is recorded; log where, or that it failed."""
        ended = Ended(None) if process.gone else process.end(RECORDING_SECONDS + self.seconds)
        if ended.status is not None:
            self.report(ended.status)
        elif not process.gone:
            self.warn(process)

    def warn(self, process: RecordingProcess) -> None:
        """Log that the process failed."""
        log.warning(
            "%s tracking stopped, the search does not: %s (see %s)", self.title, process.last_line(), process.log_file
        )


@final
class RecordingTracker:
    """Tracker that sends the row of every ended trial to the recording process."""

    def __init__(
        self, spec: TrackingSpec, study: Study, circumstances: Mapping[str, Any], recording: Recording
    ) -> None:
        """Start the recording process and send it the trials that have ended; it skips those recorded before.

        Args:
            spec: whether trials are recorded one by one, and times.
            study: the study.
            circumstances: configuration of the recording, as JSON without folder names and passwords.
            recording: its place and settings.
        """
        self._study = study
        self._recording = recording
        self._weights = spec.weights
        records = study.records()
        self._live = LiveCurves(record.number for record in records if record.ended) if spec.trials else None
        self._rows = RowBuilder(study.believer, curves=spec.trials)
        self._closed = self._warned = False
        self.process = recording.process()
        self._send(
            kind="start",
            study=study.name,
            folder=str(study.folder.resolve()),
            trials=spec.trials,
            plot_seconds=spec.plot_seconds,
            axes=[axis.to_json() for axis in study.axes],
            config=circumstances,
            **recording.start,
        )
        for row in self._rows.earlier(records):
            self._send(kind="trial", row=row)

    def on_progress(self, progress: Progress) -> None:
        """Send the new epochs of running trials, unless much is unsent, and write more of the buffer to the pipe.

        What is left out comes with later epochs, or at the latest with the trial's row.
        """
        if self._live is not None and not self.process.busy:
            for part in self._live.new(progress.running):
                self._send(kind="epochs", part=part)
        self.process.flush()
        self._warn_once()

    def on_trial(self, record: Record, _progress: Progress) -> None:
        """Send the trial's row."""
        if self._live is not None:
            self._live.end(record.number)
        self._send(kind="trial", row=self._rows.add(record))

    def on_end(self, progress: Progress, reason: str) -> None:
        """Send the totals and the final front; `close` waits until they are recorded.

        They are read from the study, whose repeats of trainings no row has, unless it can't be read any more.
        """
        regular = reason in set(EndReason)
        complete = [each for each in (self._study.records() if regular else self._rows.complete) if each.values]
        told = reason if regular else ERROR
        found = standing(self._study.believer, complete)
        self._send(
            kind="end",
            totals={"counts": dict(progress.counts), "reason": told, **found},
            front=front_document(self._study, complete),
            networks=kept_networks(self._study, complete, found, self._weights),
        )

    def close(self) -> None:
        """Wait until everything is recorded; log where."""
        if not self._closed:
            self._closed = True
            self._recording.close(self.process)
            self._warn_once()

    def _send(self, **message: Any) -> None:
        self.process.send(**message)
        self._warn_once()

    def _warn_once(self) -> None:
        if self.process.gone and not self._warned:
            self._warned = True
            self._recording.warn(self.process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
