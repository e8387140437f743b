"""Messages between the driver and the tasks of a Ray cluster, and the actor that carries them.

Ray passes arguments to a task and returns its result; it has no channel to a running task. The mailbox is that
channel: an actor on the driver's machine, so that a message that has reached it outlives the machine it came from.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, final

from nas.jobs import Epoch, Failure, Job, Outcome
from nas.workers.ray.folder_sync import FolderChanges

STOP = "stop"


class FileTransfer(Protocol):
    """Files that every job reads, such as decoded images; picklable, and small when pickled."""

    def local_folder(self) -> Path | None:
        """Return the folder on this machine that holds all of them, or None."""
        ...

    def read(self, name: str, offset: int) -> bytes:
        """Return a part of a file from `offset` on, empty at its end; called on the driver's machine."""
        ...

    def download(self, fetch: Callable[[str, int], bytes]) -> Path:
        """Fetch the files once for all jobs of this machine and return their folder; `fetch` is the driver's `read`."""
        ...


@dataclass(frozen=True)
class RayTask:
    """Argument of a Ray task: a job and what the task needs to run it.

    Attributes:
        key: identifies the task among those of its driver.
        job: the job; its folder is the driver's.
        runner: the pickled runner, so that only the process that trains imports its modules.
        token: name of a file in the job's folder that only this driver's disk has.
        transfer: files that the runner reads; None if it finds everything by itself.
        preload: modules that the fork server of a machine imports once.
        on_gpu: whether the job was given a GPU, or a share of one.
        deadline_seconds: seconds after which the training is killed, positive; None for no limit.
        version: the driver's version of this program.
        plugins: modules of plug-ins that the driver trusts; each machine must be able to import them.
    """

    key: int
    job: Job
    runner: bytes
    token: str
    transfer: FileTransfer | None
    preload: tuple[str, ...]
    on_gpu: bool
    deadline_seconds: float | None
    version: str
    plugins: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskStarted:
    """The task has started to run.

    Attributes:
        token_signed: whether it could read and change the token, so that the folder may be the driver's own.
    """

    token_signed: bool


@dataclass(frozen=True)
class FileRequest:
    """Request for a part of a file of the transfer, from `offset` on."""

    name: str
    offset: int


@dataclass(frozen=True)
class EpochEnded:
    """An epoch has ended; `changes` is None if the job trains in the driver's own folder."""

    row: Epoch
    changes: FolderChanges | None


@dataclass(frozen=True)
class JobEnded:
    """The job has ended; its outcome's folder and checkpoint are those of the machine that it ran on."""

    outcome: Outcome
    changes: FolderChanges | None


@dataclass(frozen=True)
class TaskLost:
    """The task has ended without an outcome; sent by the driver's own side, after all messages of the task.

    Attributes:
        failure: the cause.
        fatal: whether every other task would end in the same way.
    """

    failure: Failure
    fatal: bool = False


@dataclass(frozen=True)
class StartJob:
    """Reply to `TaskStarted`: run the job.

    Attributes:
        shared: whether the task sees the driver's own folder.
        files: content of the driver's folder by file name if not shared: the checkpoint to start from and all other
            files of earlier jobs but other checkpoints.
    """

    shared: bool
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class FilePart:
    """Reply to `FileRequest`."""

    content: bytes


TaskMessage = TaskStarted | FileRequest | EpochEnded | JobEnded | TaskLost
DriverMessage = StartJob | FilePart | str


@final
class Mailbox:
    """Actor that queues the messages of all tasks to the driver, and those of the driver to each task."""

    def __init__(self) -> None:
        self._to_driver: asyncio.Queue[tuple[int, TaskMessage]] = asyncio.Queue()
        self._to_tasks: defaultdict[int, asyncio.Queue[DriverMessage]] = defaultdict(asyncio.Queue)

    async def send_to_driver(self, key: int, message: TaskMessage) -> None:
        """Queue a message of the task `key`."""
        self._to_driver.put_nowait((key, message))

    async def receive_from_tasks(self) -> list[tuple[int, TaskMessage]]:
        """Wait for a message to the driver, and return all that are queued."""
        received = [await self._to_driver.get()]
        while not self._to_driver.empty():
            received.append(self._to_driver.get_nowait())
        return received

    async def send_to_task(self, key: int, message: DriverMessage) -> None:
        """Queue a message to the task `key`."""
        self._to_tasks[key].put_nowait(message)

    async def receive_from_driver(self, key: int) -> DriverMessage:
        """Wait for the next message to the task `key`, and return it."""
        return await self._to_tasks[key].get()

    async def forget(self, key: int) -> None:
        """Drop the queue of a task that has ended, and release a call that still waits for it."""
        self._to_tasks.pop(key, asyncio.Queue()).put_nowait(STOP)
