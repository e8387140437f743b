"""What passes between the driver of a search and a job on a Ray cluster, and the mailbox that it passes through.

Ray hands a task its arguments and brings its result back; it has no channel to a task that runs. The mailbox is that
channel: an actor beside the driver, so that what has reached it outlives the node that it came from.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, final

from nas.jobs import Epoch, Failure, Job, Outcome
from nas.workers.ray.folder_sync import Changes

STOP = "stop"


class Supplies(Protocol):
    """Files that every job reads, such as decoded images; picklable, and light to carry."""

    def here(self) -> Path | None:
        """The folder on this machine that holds them whole; None where there is none."""
        ...

    def read(self, name: str, offset: int) -> bytes:
        """On the driver's machine: a part of a file from `offset` on, empty at its end."""
        ...

    def lay_out(self, fetch: Callable[[str, int], bytes]) -> Path:
        """On another machine: the folder that holds them, fetched with `read`'s arguments once for all its jobs."""
        ...


@dataclass(frozen=True)
class Task:
    """A job as it is handed to the cluster.

    Attributes:
        key: tells the tasks of one driver apart.
        job: the job; its folder is the driver's.
        runner: the pickled runner, so that only the process that trains imports what it needs.
        token: name of a file in the job's folder that only this driver's disk has.
        supplies: what the runner reads, None where it finds everything by itself.
        preload: modules that the fork server of a node imports once.
        on_gpu: whether the job was given a GPU, or a share of one.
        deadline_seconds: how long the training may take before it is killed; None for no limit.
        version: the driver's version of this program.
    """

    key: int
    job: Job
    runner: bytes
    token: str
    supplies: Supplies | None
    preload: tuple[str, ...]
    on_gpu: bool
    deadline_seconds: float | None
    version: str


@dataclass(frozen=True)
class Arrived:
    """A task has begun to run.

    Attributes:
        signed: whether it could read and change the token, so that the folder may well be the driver's own.
    """

    signed: bool


@dataclass(frozen=True)
class Wanted:
    """A part of a file of the supplies is wanted."""

    name: str
    offset: int


@dataclass(frozen=True)
class EpochEnded:
    """An epoch has ended; `changes` is None where the job trains in the driver's own folder."""

    row: Epoch
    changes: Changes | None


@dataclass(frozen=True)
class Ended:
    """The job has ended; its outcome's folder and checkpoint are those of the machine that it ran on."""

    outcome: Outcome
    changes: Changes | None


@dataclass(frozen=True)
class Lost:
    """The task has ended without an outcome; said by the driver's own side, behind everything the task has said.

    Attributes:
        failure: why.
        fatal: whether every other task would end so too.
    """

    failure: Failure
    fatal: bool = False


@dataclass(frozen=True)
class Go:
    """Train.

    Attributes:
        shared: whether the job's folder is the driver's own.
        files: what the driver's folder holds, by name, where it isn't: the checkpoint to start from and what else
            earlier jobs of the trial have left, but for other checkpoints.
    """

    shared: bool
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """The part of a file that was wanted."""

    content: bytes


Post = Arrived | Wanted | EpochEnded | Ended | Lost
Order = Go | Part | str


@final
class Mailbox:
    """Keeps what tasks say until the driver takes it, and what the driver says until the task takes it."""

    def __init__(self) -> None:
        self._posts: asyncio.Queue[tuple[int, Post]] = asyncio.Queue()
        self._orders: defaultdict[int, asyncio.Queue[Order]] = defaultdict(asyncio.Queue)

    async def post(self, key: int, post: Post) -> None:
        """Say something to the driver."""
        self._posts.put_nowait((key, post))

    async def take(self) -> list[tuple[int, Post]]:
        """Everything that has been said to the driver, at least one thing."""
        taken = [await self._posts.get()]
        while not self._posts.empty():
            taken.append(self._posts.get_nowait())
        return taken

    async def order(self, key: int, order: Order) -> None:
        """Say something to a task."""
        self._orders[key].put_nowait(order)

    async def next_order(self, key: int) -> Order:
        """The next thing that is said to a task."""
        return await self._orders[key].get()

    async def forget(self, key: int) -> None:
        """Drop what is said to a task that has ended, and let go of whoever waits for it still."""
        self._orders.pop(key, asyncio.Queue()).put_nowait(STOP)
