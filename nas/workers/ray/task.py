"""Ray task that runs one job in a fresh worker process, forked by this machine's fork server.

The task itself imports neither torch nor the runner. It uses the executor of a search on one machine, so that a job is
the same thing everywhere, and forwards its messages. The worker process ends with the task's process, and Ray ends
that when the driver is gone.
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
from nas.workers.local.worker_loop import LOG_FILE
from nas.workers.ray.folder_sync import FolderWatcher
from nas.workers.ray.messages import (
    DriverMessage,
    EpochEnded,
    FilePart,
    FileRequest,
    JobEnded,
    RayTask,
    StartJob,
    TaskMessage,
    TaskStarted,
)
from nas.workers.ray.packed_runner import PackedRunner
from search_space.plugins import trust

POLL_SECONDS = 0.1
PROGRAM = "inception-nas"


@final
class TaskMailbox:
    """Task's side of the mailbox."""

    def __init__(self, actor: Any, key: int) -> None:
        self._actor = actor
        self._key = key
        self._next = actor.receive_from_driver.remote(key)
        self.stop_requested = False

    def send(self, message: TaskMessage) -> None:
        """Send a message; it has reached the driver's machine on return."""
        ray.get(self._actor.send_to_driver.remote(self._key, message))

    def request(self, message: TaskMessage) -> DriverMessage:
        """Send a message and return the driver's reply."""
        self.send(message)
        while True:
            reply = self.receive(None)
            if reply is not None:
                return reply

    def receive(self, timeout: float | None) -> DriverMessage | None:
        """Return a message of the driver that arrives within `timeout` seconds; a stop sets `stop_requested` only."""
        ready, _ = ray.wait([self._next], timeout=timeout)
        if not ready:
            return None
        message = cast(DriverMessage, ray.get(self._next))
        self._next = self._actor.receive_from_driver.remote(self._key)
        if isinstance(message, str):
            self.stop_requested = True
            return None
        return message


def supervise(task: RayTask, actor: Any) -> None:
    """Run a job and send its outcome to the driver.

    Args:
        task: the job.
        actor: handle of the `Mailbox`.

    Raises:
        RuntimeError: the driver has another version of this program.
    """
    here = own_version()
    if task.version != here:
        raise RuntimeError(
            f"all machines of a cluster must have one version of {PROGRAM}, got {here} here and {task.version} there"
        )
    mailbox = TaskMailbox(actor, task.key)
    start = mailbox.request(TaskStarted(sign_token(task.job.folder / task.token, task.token)))
    assert isinstance(start, StartJob)
    runner = PackedRunner(task.runner, _image_folder(task, mailbox))
    if start.shared:
        mailbox.send(JobEnded(_train(task, runner, task.job, mailbox, None), None))
        return
    with temporary_trial_folder() as folder:
        for name, content in start.files.items():
            write_bytes(folder / name, content)
        checkpoint = task.job.checkpoint and folder / task.job.checkpoint.name
        job = replace(task.job, folder=folder, checkpoint=checkpoint)
        watcher = FolderWatcher(folder, LOG_FILE)
        outcome = _train(task, runner, job, mailbox, watcher)
        mailbox.send(JobEnded(outcome, watcher.changes()))


@cache
def own_version() -> str:
    """Return the version of this program that is installed on this machine."""
    return version(PROGRAM)


def sign_token(token: Path, name: str) -> bool:
    """Write the signature into the token file `token`; return False if it does not hold `name` or can't be written.

    A signed token shows that this machine sees the driver's folder and may write there.
    """
    try:
        if token.read_text(encoding="ascii") != name:
            return False
        token.write_text(token_signature(name), encoding="ascii")
    except OSError:
        return False
    return True


def token_signature(name: str) -> str:
    """Return the content of a signed token."""
    return f"seen {name}"


def _image_folder(task: RayTask, mailbox: TaskMailbox) -> Path | None:
    def fetch(name: str, offset: int) -> bytes:
        part = mailbox.request(FileRequest(name, offset))
        assert isinstance(part, FilePart)
        return part.content

    return None if task.transfer is None else task.transfer.local_folder() or task.transfer.download(fetch)


def _train(
    task: RayTask, runner: PackedRunner, job: Job, mailbox: TaskMailbox, watcher: FolderWatcher | None
) -> Outcome:
    """Run the job in a worker process; forward its epochs, and the driver's request to stop."""

    def on_epoch(_: Job, row: Epoch) -> None:
        mailbox.send(EpochEnded(row, None if watcher is None else watcher.changes()))

    for module in task.plugins:
        trust(module)
    # Ray leaves all GPUs visible to a task that was given none.
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "") if task.on_gpu else ""
    executor = _executor(runner, split_gpus(visible, job.devices), task.preload, task.deadline_seconds)
    try:
        with without_main_module():
            handle = executor.submit(job, on_epoch)
        stopping = False
        while not (outcomes := executor.wait(POLL_SECONDS)):
            mailbox.receive(0)
            if mailbox.stop_requested and not stopping:
                stopping = True
                handle.stop_after_epoch()
    except BaseException:  # the driver is gone, or this process is to end: nothing waits for the job any more
        executor.close()
        raise
    return outcomes[0]


@lru_cache(maxsize=1)
def _executor(
    runner: PackedRunner, devices: tuple[str, ...], preload: tuple[str, ...], deadline_seconds: float | None
) -> LocalExecutor:
    """Return this Ray worker's executor, which is kept so that no task waits for the end of the last one's process."""
    return LocalExecutor(runner, devices, preload=preload, deadline_seconds=deadline_seconds)


def split_gpus(visible: str, devices: int) -> tuple[str, ...]:
    """Return CUDA_VISIBLE_DEVICES of each process of a job, from that of its task.

    >>> split_gpus("0,3", 2)
    ('0', '3')
    >>> split_gpus("0,3", 1)
    ('0,3',)
    >>> split_gpus("", 2)
    ('', '')
    """
    names = [name for name in visible.split(",") if name]
    each = len(names) // devices
    return tuple(",".join(names[index * each : (index + 1) * each]) for index in range(devices))


@contextmanager
def without_main_module() -> Iterator[None]:
    """Keep worker processes from importing this process' main module, which is Ray's and imports all of it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def temporary_trial_folder() -> Iterator[Path]:
    """Yield a folder to train in and remove it at the end; remove those of killed workers first.

    Each is locked: the system releases a lock when its holder dies.

    Raises:
        PermissionError: another user has made the parent folder.
    """
    root = Path(tempfile.gettempdir()) / f"{PROGRAM}-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise PermissionError(
            f"the folder to train in must belong to this user, {root} belongs to user {root.stat().st_uid}"
        )
    with (root / ".lock").open("w") as root_lock:
        fcntl.flock(root_lock, fcntl.LOCK_EX)  # so that no new folder is removed before it is locked
        for old in root.glob("trial-*"):
            _remove_if_unlocked(old)
        folder = Path(tempfile.mkdtemp(prefix="trial-", dir=root))
        lock = (folder / ".lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    with lock:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_if_unlocked(folder: Path) -> None:
    try:
        with (folder / ".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return  # another worker trains there, or has just removed it
