"""Driver's side of W&B tracking: rows into a pipe, without waiting.

W&B runs in a process of its own (process.py). Measured reasons: in the driver, its exit hook waits for uploads however
long they take, a killed driver loses every row since the last flush, and its import takes half a second of the
interpreter lock. A failure of that process costs the search one warning line.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import select
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Self, cast, final

import nas
from nas.config.tracking import TrackingSpec
from nas.jobs import EndReason
from nas.jobs.files import write_text
from nas.jobs.links import open_log, refuse_links
from nas.study.progress import Progress
from nas.study.study import Study
from nas.study.summary import front_document
from nas.study.trial import Record
from nas.tracking.rows import RowBuilder, standing
from nas.tracking.wandb.mode import resolve_mode

FOLDER = "wandb"
RUN_FILE = "run.json"
LOG_FILE = "tracking.log"
RECORDING_SECONDS = 60.0
CHUNK_BYTES = 1 << 16
NOT_INHERITED = frozenset(
    f"WANDB_{name}"
    for name in (
        "MODE",
        "RUN_ID",
        "RUN_GROUP",
        "RESUME",
        "SERVICE",
        "NAME",
        "NOTES",
        "JOB_TYPE",
        "TAGS",
        "SWEEP_ID",
    )
) | {"NAS_STORAGE_URL"}

log = logging.getLogger(__name__)


def make(spec: TrackingSpec, study: Study, circumstances: Mapping[str, Any]) -> WandbTracker:
    """Return a tracker that records in Weights & Biases.

    Args:
        spec: project, mode and times.
        study: the study.
        circumstances: configuration of the W&B run, as JSON without folder names and passwords.
    """
    return WandbTracker(spec, study, circumstances)


@final
class WandbTracker:
    """Tracker that sends the row of every ended trial to the recording process."""

    def __init__(self, spec: TrackingSpec, study: Study, circumstances: Mapping[str, Any]) -> None:
        """Start the recording process and send it the trials that have ended; it skips those recorded before.

        Args:
            spec: project, mode and times.
            study: the study.
            circumstances: configuration of the W&B run, as JSON without folder names and passwords.
        """
        self._study = study
        self._finish_seconds = spec.finish_seconds
        self._folder = study.folder / FOLDER
        for name in ("", ".data", ".cache"):
            refuse_links(study.folder, self._folder / name)
        self._folder.mkdir(exist_ok=True)
        self._rows = RowBuilder(study.believer, curves=spec.trials)
        self._mode = resolve_mode(spec.mode, os.environ, _home() or study.folder)
        self._buffer = bytearray()
        self._closed = False
        self._process: subprocess.Popen[bytes] | None = _start(self._folder)
        self._send(
            kind="start",
            id=_run_id(self._folder, study.name),
            study=study.name,
            folder=str(study.folder.resolve()),
            project=spec.project,
            entity=spec.entity,
            mode=self._mode,
            trials=spec.trials,
            plot_seconds=spec.plot_seconds,
            finish_seconds=spec.finish_seconds,
            axes=[axis.to_json() for axis in study.axes],
            config=circumstances,
            rows=self._rows.earlier(study.records()),
        )

    def on_progress(self, _progress: Progress) -> None:
        """Write more of the buffer to the pipe."""
        self._flush()

    def on_trial(self, record: Record, _progress: Progress) -> None:
        """Send the trial's row."""
        self._send(kind="trial", row=self._rows.add(record))

    def on_end(self, progress: Progress, reason: str) -> None:
        """Send the totals and the final front; `close` waits until they are recorded.

        They are read from the study, whose repeats of trainings no row has, unless it can't be read any more.
        """
        records = self._study.records() if reason in set(EndReason) else self._rows.complete
        complete = [record for record in records if record.values]
        totals = {"counts": dict(progress.counts), "reason": reason, **standing(self._study.believer, complete)}
        self._send(kind="end", totals=totals, front=front_document(self._study, complete))

    def close(self) -> None:
        """Wait until everything is recorded, and up to `finish_seconds` more for an upload; log where the run is."""
        if self._closed:
            return
        self._closed = True
        deadline = time.monotonic() + RECORDING_SECONDS + self._finish_seconds
        process = self._process
        if process is None:
            return
        stdin, stdout = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        while self._buffer and self._process and time.monotonic() < deadline:
            select.select([], [stdin], [], 0.5)
            self._flush()
        if self._process is None:
            return
        stdin.close()
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        with stdout:
            self._report(process.returncode, stdout.read())

    def _send(self, **message: Any) -> None:
        self._buffer += json.dumps(message).encode() + b"\n"
        self._flush()

    def _flush(self) -> None:
        """Write as much of the buffer as the pipe takes without blocking."""
        while self._process and self._buffer:
            try:
                written = os.write(cast("IO[bytes]", self._process.stdin).fileno(), self._buffer[:CHUNK_BYTES])
            except BlockingIOError:
                return
            except BrokenPipeError:
                self._give_up()
                return
            del self._buffer[:written]

    def _give_up(self) -> None:
        process = cast("subprocess.Popen[bytes]", self._process)
        self._process = None
        self._buffer.clear()
        for stream in (process.stdin, process.stdout):
            cast("IO[bytes]", stream).close()
        process.wait()
        self._warn()

    def _report(self, code: int, output: bytes) -> None:
        if code != 0 or not output:
            self._warn()
            return
        status = json.loads(output.splitlines()[-1])
        upload = f"upload it with: wandb sync {shlex.quote(str(self._folder))}"
        if status["uploaded"]:
            log.info("W&B run %s", status["url"] or self._folder)
        elif self._mode == "online":
            log.warning("W&B did not take everything in time: the run is in %s, %s", self._folder, upload)
        else:
            log.info("W&B run in %s, %s", self._folder, upload)

    def _warn(self) -> None:
        lines = (self._folder / LOG_FILE).read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it was killed")
        log.warning("W&B tracking stopped, the search does not: %s (see %s)", last, self._folder / LOG_FILE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _start(folder: Path) -> subprocess.Popen[bytes]:
    """Start the recording process in a session of its own, so that Ctrl-C in a terminal reaches only the driver."""
    with os.fdopen(open_log(folder / LOG_FILE, append=False), "wb") as errors:
        process = subprocess.Popen(  # -P: nothing is imported from the working directory
            [sys.executable, "-P", "-m", "nas.tracking.wandb.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(folder.resolve()),
            start_new_session=True,
        )
    os.set_blocking(cast("IO[bytes]", process.stdin).fileno(), False)
    return process


def _home() -> Path | None:
    """Return the user's home folder, None where there is none, as in a container."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _environment(folder: Path) -> dict[str, str]:
    """Return the driver's environment, with all files of W&B inside the study's folder and without its telemetry."""
    kept = {key: value for key, value in os.environ.items() if key not in NOT_INHERITED}
    package = str(Path(nas.__file__).parent.parent)
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    own = {
        "WANDB_DIR": folder.parent,
        "WANDB_DATA_DIR": folder / ".data",
        "WANDB_ARTIFACT_DIR": folder / ".data",
        "WANDB_CACHE_DIR": folder / ".cache",
    }
    if _home() is None:
        own["HOME"] = folder
    return kept | {key: str(path) for key, path in own.items()} | {"WANDB_ERROR_REPORTING": "false"}


def _run_id(folder: Path, study: str) -> str:
    """Return the id of the study's W&B run, the same for every search of the study.

    Its random suffix distinguishes studies of the same name.
    """
    path = folder / RUN_FILE
    if path.exists():
        return cast(str, json.loads(path.read_text(encoding="utf-8"))["id"])
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", study).strip("-")[:40] or "study"
    run_id = f"{slug}-{secrets.token_hex(4)}"
    write_text(path, json.dumps({"id": run_id}) + "\n")
    return run_id
