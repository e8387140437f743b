"""The driver's end of the mailbox: takes what tasks say, keeps what they send and answers, in threads of its own."""

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
from nas.workers.local.worker_process import LOG_FILE
from nas.workers.ray.folder_sync import Changes, apply
from nas.workers.ray.messages import (
    Arrived,
    Ended,
    EpochEnded,
    Go,
    Lost,
    Mailbox,
    Order,
    Part,
    Post,
    Supplies,
    Wanted,
)
from nas.workers.ray.task import signature

WAITERS = 100_000
"""Calls that the mailbox holds open at once, one a task; Ray takes a limit, and none is meant."""

CHECKPOINTS = {".pt", ".unreadable"}
"""What files of a training's state end in; the second where one was set aside."""

News = EpochEnded | Ended | Lost


@final
class Desk:
    """Keeps the mailbox and the account of the tasks that are out."""

    def __init__(self, supplies: Supplies | None) -> None:
        """Open the mailbox, on the driver's machine.

        Args:
            supplies: what tasks on machines that don't have them may fetch.
        """
        beside = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor: Any = ray.remote(Mailbox)
        self.mailbox = actor.options(num_cpus=0, max_concurrency=WAITERS, scheduling_strategy=beside).remote()
        self.news: SimpleQueue[tuple[int, News] | None] = SimpleQueue()
        self._supplies = supplies
        self._out: dict[int, tuple[Job, str]] = {}
        self._begun: set[int] = set()
        self._outbox: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._take, self._send)]
        for thread in self._threads:
            thread.start()

    def enter(self, key: int, job: Job) -> str:
        """Take a job into the account; the name of the token that it finds where it sees the driver's own folder."""
        token = f".token-{secrets.token_hex(16)}"
        job.folder.mkdir(parents=True, exist_ok=True)
        for old in job.folder.glob(".token-*"):  # of a driver that was killed
            old.unlink(missing_ok=True)
        (job.folder / token).write_text(token, encoding="ascii")
        self._out[key] = job, token
        return token

    def say(self, key: int, order: Order) -> None:
        """Say something to a task, soon."""
        self.soon(partial(self.mailbox.order.remote, key, order))

    def lost(self, key: int, loss: Lost) -> None:
        """Take note, behind everything that the task has said itself, that it has ended without an outcome."""
        self.soon(partial(self.mailbox.post.remote, key, loss))

    def soon(self, call: Callable[[], object]) -> None:
        """Make a call to Ray soon; this may itself be called where a signal has interrupted such a call."""
        self._outbox.put(call)

    def begun(self, key: int) -> bool:
        """Whether a task has begun to run."""
        return key in self._begun

    def close(self) -> None:
        """Close the mailbox. Tasks that still wait at it end."""
        self._outbox.put(None)
        ray.kill(self.mailbox)
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        while (call := self._outbox.get()) is not None:
            call()

    def _take(self) -> None:
        try:
            while True:
                for key, post in ray.get(self.mailbox.take.remote()):
                    self._read(key, post)
        except ray.exceptions.RayError:
            return  # the mailbox is closed, or lost
        finally:
            self.news.put(None)

    def _read(self, key: int, post: Post) -> None:
        """Deal with what a task has said, unless it is known to have ended; a job whose files can't be kept failed."""
        if key not in self._out:
            return
        job, token = self._out[key]
        try:
            match post:
                case Arrived(signed):
                    self._begun.add(key)
                    self.say(key, _go(job, job.folder / token, signed=signed))
                case Wanted(name, offset):
                    assert self._supplies is not None
                    self.say(key, Part(self._supplies.read(name, offset)))
                case EpochEnded(_, changes):
                    _keep(job, changes)
                    self.news.put((key, post))
                case Ended(outcome, changes):
                    _keep(job, changes)
                    checkpoint = outcome.checkpoint and job.folder / outcome.checkpoint.name
                    self._end(key, Ended(replace(outcome, job=job, checkpoint=checkpoint), None))
                case Lost():
                    self._end(key, post)
        except OSError as error:
            self._end(key, Lost(disk_failure(error) or Failure(FailureKind.ERROR, f"{type(error).__name__}: {error}")))
        except ValueError as error:  # images that can't be read any more, a file with an impossible name
            self._end(key, Lost(Failure(FailureKind.ERROR, str(error)), fatal=True))

    def _end(self, key: int, last: Ended | Lost) -> None:
        job, token = self._out.pop(key)
        self._begun.discard(key)
        (job.folder / token).unlink(missing_ok=True)
        self.mailbox.forget.remote(key)
        self.news.put((key, last))


def _go(job: Job, token: Path, *, signed: bool) -> Go:
    """The word to train; a task that has signed another folder than ours trains in one of its own."""
    if signed and token.read_text(encoding="ascii") == signature(token.name):
        return Go(shared=True)
    return Go(shared=False, files={path.name: path.read_bytes() for path in job.folder.iterdir() if _goes(path, job)})


def _goes(path: Path, job: Job) -> bool:
    """Whether a job that trains elsewhere is to find a file of the trial's folder there."""
    if path.suffix in CHECKPOINTS:
        return path == job.checkpoint
    return path.is_file() and path.name != LOG_FILE and not path.name.startswith(".")


def _keep(job: Job, changes: Changes | None) -> None:
    if changes is not None:
        apply(changes, job.folder, LOG_FILE)
