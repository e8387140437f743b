"""Driver's side of the mailbox: threads that receive the tasks' messages, keep their files and reply."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from nas.jobs import Failure, FailureKind, Job
from nas.jobs.failures import disk_failure
from nas.workers.local.worker_loop import LOG_FILE
from nas.workers.ray.folder_sync import FolderChanges, apply_changes
from nas.workers.ray.messages import (
    DriverMessage,
    EpochEnded,
    FilePart,
    FileRequest,
    FileTransfer,
    JobEnded,
    Mailbox,
    StartJob,
    TaskLost,
    TaskMessage,
    TaskStarted,
)
from nas.workers.ray.task import token_signature

MAX_CONCURRENCY = 100_000
"""Concurrent calls of the mailbox, one a task; Ray requires a limit, and none is meant."""

CHECKPOINT_SUFFIXES = {".pt", ".unreadable"}
"""Suffixes of checkpoints; the second of those that could not be read."""

JobEvent = EpochEnded | JobEnded | TaskLost


@final
class DriverMailbox:
    """Mailbox with the register of running tasks; `events` is a queue of (key, event), None once it is closed."""

    def __init__(self, transfer: FileTransfer | None) -> None:
        """Start the mailbox on the driver's machine.

        Args:
            transfer: files that tasks on machines that lack them may request.
        """
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor: Any = ray.remote(Mailbox)
        self.actor = actor.options(num_cpus=0, max_concurrency=MAX_CONCURRENCY, scheduling_strategy=here).remote()
        self.events: SimpleQueue[tuple[int, JobEvent] | None] = SimpleQueue()
        self._transfer = transfer
        self._running: dict[int, tuple[Job, str]] = {}
        self._started: set[int] = set()
        self._calls: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._receive, self._make_calls)]
        for thread in self._threads:
            thread.start()

    def register(self, key: int, job: Job) -> str:
        """Register a task and return the name of the token by which it recognises the driver's own folder."""
        token = f".token-{secrets.token_hex(16)}"
        job.folder.mkdir(parents=True, exist_ok=True)
        for old in job.folder.glob(".token-*"):  # of a driver that was killed
            old.unlink(missing_ok=True)
        (job.folder / token).write_text(token, encoding="ascii")
        self._running[key] = job, token
        return token

    def send(self, key: int, message: DriverMessage) -> None:
        """Send a message to a task, without waiting."""
        self.call_soon(partial(self.actor.send_to_task.remote, key, message))

    def report_lost(self, key: int, loss: TaskLost) -> None:
        """Queue the loss of a task behind all messages that the task has sent."""
        self.call_soon(partial(self.actor.send_to_driver.remote, key, loss))

    def call_soon(self, call: Callable[[], object]) -> None:
        """Call Ray from a thread; safe in a signal handler that has interrupted another such call."""
        self._calls.put(call)

    def has_started(self, key: int) -> bool:
        """Return whether a task has started to run."""
        return key in self._started

    def close(self) -> None:
        """Kill the mailbox; tasks that wait for a message end."""
        self._calls.put(None)
        ray.kill(self.actor)
        for thread in self._threads:
            thread.join()

    def _make_calls(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def _receive(self) -> None:
        try:
            while True:
                for key, message in ray.get(self.actor.receive_from_tasks.remote()):
                    self._handle(key, message)
        except ray.exceptions.RayError:
            return  # the mailbox is closed, or lost
        finally:
            self.events.put(None)

    def _handle(self, key: int, message: TaskMessage) -> None:
        """Act on a message of a registered task; a job whose files can't be kept has failed."""
        if key not in self._running:
            return
        job, token = self._running[key]
        try:
            match message:
                case TaskStarted(token_signed):
                    self._started.add(key)
                    self.send(key, _start_message(job, job.folder / token, token_signed=token_signed))
                case FileRequest(name, offset):
                    assert self._transfer is not None
                    self.send(key, FilePart(self._transfer.read(name, offset)))
                case EpochEnded(_, changes):
                    _keep(job, changes)
                    self.events.put((key, message))
                case JobEnded(outcome, changes):
                    _keep(job, changes)
                    checkpoint = outcome.checkpoint and job.folder / outcome.checkpoint.name
                    self._end(key, JobEnded(replace(outcome, job=job, checkpoint=checkpoint), None))
                case TaskLost():
                    self._end(key, message)
        except OSError as error:
            self._end(
                key, TaskLost(disk_failure(error) or Failure(FailureKind.ERROR, f"{type(error).__name__}: {error}"))
            )
        except ValueError as error:  # images that can't be read any more, or a file name that leads out of the folder
            self._end(key, TaskLost(Failure(FailureKind.ERROR, str(error)), fatal=True))

    def _end(self, key: int, event: JobEnded | TaskLost) -> None:
        job, token = self._running.pop(key)
        self._started.discard(key)
        (job.folder / token).unlink(missing_ok=True)
        self.actor.forget.remote(key)
        self.events.put((key, event))


def _start_message(job: Job, token: Path, *, token_signed: bool) -> StartJob:
    """Return the reply to a started task; one that has signed another folder's token trains in a folder of its own."""
    if token_signed and token.read_text(encoding="ascii") == token_signature(token.name):
        return StartJob(shared=True)
    files = {path.name: path.read_bytes() for path in job.folder.iterdir() if _is_sent(path, job)}
    return StartJob(shared=False, files=files)


def _is_sent(path: Path, job: Job) -> bool:
    """Return whether a job on another machine gets this file of the trial's folder."""
    if path.suffix in CHECKPOINT_SUFFIXES:
        return path == job.checkpoint
    return path.is_file() and path.name != LOG_FILE and not path.name.startswith(".")


def _keep(job: Job, changes: FolderChanges | None) -> None:
    if changes is not None:
        apply_changes(changes, job.folder, LOG_FILE)
