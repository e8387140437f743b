"""What runs in a worker of the Ray cluster: one job, in a fresh child of this machine's fork server.

The worker itself imports neither torch nor the runner. It gives the job to the executor that a search on one machine
uses, so that a job is the same thing everywhere, and passes on what that says. The child ends with the worker, and Ray
ends the worker when the driver is gone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, cast, final

import ray

from nas.jobs import Epoch, Job, Outcome
from nas.jobs.files import write_bytes
from nas.workers.local.executor import LocalExecutor
from nas.workers.local.worker_process import LOG_FILE
from nas.workers.ray.folder_sync import Mirror
from nas.workers.ray.messages import Arrived, Ended, EpochEnded, Go, Order, Part, Post, Task, Wanted
from nas.workers.ray.packed_runner import Packed

POLL_SECONDS = 0.1
PROGRAM = "inception-nas"


@final
class Link:
    """The task's end of the mailbox."""

    def __init__(self, mailbox: Any, key: int) -> None:
        self._mailbox = mailbox
        self._key = key
        self._next = mailbox.next_order.remote(key)
        self.stopped = False

    def say(self, post: Post) -> None:
        """Say something; it is with the driver's machine when this returns."""
        ray.get(self._mailbox.post.remote(self._key, post))

    def ask(self, post: Post) -> Order:
        """Say something that the driver answers."""
        self.say(post)
        while True:
            answer = self.hear(None)
            if answer is not None:
                return answer

    def hear(self, timeout: float | None) -> Order | None:
        """What the driver says within `timeout` seconds; that the job is to stop is kept in `stopped`."""
        ready, _ = ray.wait([self._next], timeout=timeout)
        if not ready:
            return None
        order = cast(Order, ray.get(self._next))
        self._next = self._mailbox.next_order.remote(self._key)
        if isinstance(order, str):
            self.stopped = True
            return None
        return order


def supervise(task: Task, mailbox: Any) -> None:
    """Carry out a job and say what comes of it.

    Raises:
        RuntimeError: the driver's program is of another version than this machine's.
    """
    here = own_version()
    if task.version != here:
        raise RuntimeError(
            f"all machines of a cluster must have one version of {PROGRAM}, got {here} here and {task.version} there"
        )
    link = Link(mailbox, task.key)
    go = link.ask(Arrived(sign(task.job.folder / task.token, task.token)))
    assert isinstance(go, Go)
    runner = Packed(task.runner, _supplies(task, link))
    if go.shared:
        link.say(Ended(_train(task, runner, task.job, link, None), None))
        return
    with scratch() as folder:
        for name, content in go.files.items():
            write_bytes(folder / name, content)
        checkpoint = task.job.checkpoint and folder / task.job.checkpoint.name
        job = replace(task.job, folder=folder, checkpoint=checkpoint)
        mirror = Mirror(folder, LOG_FILE)
        outcome = _train(task, runner, job, link, mirror)
        link.say(Ended(outcome, mirror.changes()))


@cache
def own_version() -> str:
    """The version of this program, as it is installed here."""
    return version(PROGRAM)


def sign(token: Path, name: str) -> bool:
    """Whether `token` holds its name and could be signed: this machine sees the driver's folder and may write there."""
    try:
        if token.read_text(encoding="ascii") != name:
            return False
        token.write_text(signature(name), encoding="ascii")
    except OSError:
        return False
    return True


def signature(name: str) -> str:
    """What a signed token holds."""
    return f"seen {name}"


def _supplies(task: Task, link: Link) -> Path | None:
    def fetch(name: str, offset: int) -> bytes:
        part = link.ask(Wanted(name, offset))
        assert isinstance(part, Part)
        return part.content

    return None if task.supplies is None else task.supplies.here() or task.supplies.lay_out(fetch)


def _train(task: Task, runner: Packed, job: Job, link: Link, mirror: Mirror | None) -> Outcome:
    """Run the job in a child, passing on its epochs and what the driver says."""

    def on_epoch(_: Job, row: Epoch) -> None:
        link.say(EpochEnded(row, None if mirror is None else mirror.changes()))

    # Ray leaves all GPUs visible to a task that was given none.
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "") if task.on_gpu else ""
    executor = _executor(runner, shares(visible, job.devices), task.preload, task.deadline_seconds)
    try:
        with without_main_module():
            handle = executor.submit(job, on_epoch)
        stopping = False
        while not (outcomes := executor.wait(POLL_SECONDS)):
            link.hear(0)
            if link.stopped and not stopping:
                stopping = True
                handle.stop_after_epoch()
    except BaseException:  # the driver is gone, or this worker is to end: nobody waits for the child any more
        executor.close()
        raise
    return outcomes[0]


@lru_cache(maxsize=1)
def _executor(
    runner: Packed, devices: tuple[str, ...], preload: tuple[str, ...], deadline_seconds: float | None
) -> LocalExecutor:
    """The executor of this worker: kept from task to task, so that no task waits for the end of its child's process."""
    return LocalExecutor(runner, devices, preload=preload, deadline_seconds=deadline_seconds)


def shares(visible: str, devices: int) -> tuple[str, ...]:
    """What each child of a job may see of the GPUs that it was given.

    >>> shares("0,3", 2)
    ('0', '3')
    >>> shares("0,3", 1)
    ('0,3',)
    >>> shares("", 2)
    ('', '')
    """
    names = [name for name in visible.split(",") if name]
    each = len(names) // devices
    return tuple(",".join(names[index * each : (index + 1) * each]) for index in range(devices))


@contextmanager
def without_main_module() -> Iterator[None]:
    """Keep children from running the worker's main module, which is Ray's and imports all of it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder to train in, gone at the end; what killed workers left is removed first.

    A lock tells: the system gives it back when its holder dies.
    """
    root = Path(tempfile.gettempdir()) / f"{PROGRAM}-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise PermissionError(f"the folder to train in must be one's own, {root} belongs to user {root.stat().st_uid}")
    with (root / ".lock").open("w") as door:
        fcntl.flock(door, fcntl.LOCK_EX)  # one at a time, so that nobody's new folder is taken for a left one
        for old in root.glob("trial-*"):
            _remove_if_left(old)
        folder = Path(tempfile.mkdtemp(prefix="trial-", dir=root))
        lock = (folder / ".lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_left(folder: Path) -> None:
    try:
        with (folder / ".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # another worker trains there, or has just removed it
