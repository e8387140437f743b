"""Jobs on a Ray cluster: the driver asks, tells and resubmits, and Ray finds a machine for each job.

A job is a Ray task that Ray never retries. What it says comes through a mailbox on the driver's machine, and a thread
of the driver takes it from there at once, so that a checkpoint is on the driver's disk while the driver itself is busy
asking. So a lost machine costs the epochs that it was in.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from queue import Empty
from typing import Any, final

import ray

from nas.config.workers import AUTO, WorkersSpec
from nas.jobs import Epoch, Failure, FailureKind, Job, Outcome, Runner
from nas.jobs.failures import disk_failure
from nas.workers.ray.cluster import ClusterError, connect, machines, request_of
from nas.workers.ray.driver_mailbox import Desk, News
from nas.workers.ray.messages import STOP, Ended, EpochEnded, Lost, Supplies, Task
from nas.workers.ray.task import own_version, supervise

LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
"""How long a cluster may be without a machine for a training before the search ends."""

OnEpoch = Callable[[Job, Epoch], None]


@final
@dataclass
class RayHandle:
    """A job that is with the cluster."""

    job: Job
    key: int
    task: Any
    on_epoch: OnEpoch
    desk: Desk
    rows: list[Epoch] = field(default_factory=list)

    def stop_after_epoch(self) -> None:
        """Ask the job to end after its current epoch, or take it back where it still waits for a machine."""
        if self.desk.begun(self.key):
            self.desk.say(self.key, STOP)
        else:
            self.desk.soon(self.kill)

    def kill(self) -> None:
        """End the job at once."""
        ray.cancel(self.task, force=True)


@final
class RayExecutor:
    """Runs jobs on the machines of a Ray cluster."""

    def __init__(
        self,
        runner: Runner,
        spec: WorkersSpec,
        *,
        supplies: Supplies | None = None,
        preload: Sequence[str] = (),
        deadline_seconds: float | None = None,
    ) -> None:
        """Join the cluster, or start one.

        Args:
            runner: carries out a job; picklable.
            spec: which cluster, and what a training asks of a machine.
            supplies: what the runner reads and machines may have to fetch; a runner with `reading` is told where.
            preload: modules that the fork server of each machine imports once for all children.
            deadline_seconds: how long a training may take before it is killed; None for no limit.

        Raises:
            ClusterError: there is no such cluster, or no machine of it can meet what a training asks for.
        """
        self._ours = connect(spec)
        self._closed = False
        self._spec = spec
        self._nodes = machines()
        try:
            self._request = request_of(spec, self._nodes)
        except ClusterError:
            self._disconnect()
            raise
        self._looked = self._able = time.monotonic()
        self._runner = pickle.dumps(runner)
        self._supplies = supplies
        self._preload = tuple(preload)
        self._deadline = deadline_seconds
        self._desk = Desk(supplies)
        self._keys = count()
        self._handles: dict[int, RayHandle] = {}
        # Ray would give up a worker that has had a GPU after each task; here only the worker's child touches it.
        self._supervise: Any = ray.remote(max_retries=0, max_calls=0)(supervise)

    @property
    def slots(self) -> int:
        """Jobs over one device that can run at once: as set, else what the machines that are there now give."""
        self._look()
        return int(self._spec.slots) if self._spec.slots != AUTO else max(1, self._at_once())

    @property
    def handles(self) -> tuple[RayHandle, ...]:
        """The jobs that are with the cluster now."""
        return tuple(self._handles.values())

    def submit(self, job: Job, on_epoch: OnEpoch) -> RayHandle:
        """Hand `job` to the cluster, for a machine that has all of its devices."""
        asked, key = self._request.times(job.devices), next(self._keys)
        task = Task(
            key=key,
            job=replace(job, folder=job.folder.absolute(), checkpoint=job.checkpoint and job.checkpoint.absolute()),
            runner=self._runner,
            token=self._desk.enter(key, job),
            supplies=self._supplies,
            preload=self._preload,
            on_gpu=asked.gpus > 0,
            deadline_seconds=self._deadline,
            version=own_version(),
        )
        supervise_there = self._supervise.options(num_cpus=asked.cpus, num_gpus=asked.gpus)
        handle = RayHandle(job, key, supervise_there.remote(task, self._desk.mailbox), on_epoch, self._desk)
        self._handles[key] = handle
        handle.task.future().add_done_callback(lambda done: self._done(key, job, done.exception()))
        return handle

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Outcomes of the jobs that end within `timeout` seconds, at the first that does.

        Raises:
            ClusterError: there has been no machine for a training for a while, or the cluster can't run the tasks.
        """
        until = time.monotonic() + timeout
        while True:
            self._look()
            left = max(0.0, until - time.monotonic())
            outcomes = [outcome for news in self._news(min(left, LOOK_SECONDS)) if (outcome := self._heard(*news))]
            if outcomes or left == 0.0:
                return outcomes

    def close(self) -> None:
        """Kill what still runs, and leave the cluster; one that was started here ends."""
        if self._closed:
            return
        self._closed = True
        for handle in self._handles.values():
            handle.kill()
        self._handles.clear()
        self._desk.close()
        self._disconnect()

    def _news(self, timeout: float) -> list[tuple[int, News]]:
        """What has come from the desk, or comes first within `timeout` seconds."""
        found: list[tuple[int, News]] = []
        try:
            while True:
                news = self._desk.news.get(timeout=0.0 if found else timeout)
                if news is None:
                    raise ClusterError(
                        "the search's mailbox on this machine is gone: Ray, or the system, has killed it"
                    )
                found.append(news)
        except Empty:
            return found

    def _heard(self, key: int, news: News) -> Outcome | None:
        """Take in one piece of news; the outcome of a job that has ended."""
        handle = self._handles.get(key)
        if handle is None:
            return None
        match news:
            case EpochEnded(row, _):
                handle.rows.append(row)
                handle.on_epoch(handle.job, row)
                return None
            case Ended(outcome, _):
                del self._handles[key]
                return outcome
            case Lost(failure, fatal):
                if fatal:
                    raise ClusterError(failure.message)
                del self._handles[key]
                handle.kill()
                return Outcome(handle.job, tuple(handle.rows), None, failure)

    def _done(self, key: int, job: Job, error: BaseException | None) -> None:
        """The task of a job has ended, in a thread of Ray's; one that ended well has said so itself."""
        if error is not None:
            self._desk.lost(key, loss_of(error, job))

    def _look(self) -> None:
        """Look which machines there are, not too often."""
        now = time.monotonic()
        if self._closed or now - self._looked < LOOK_SECONDS:
            return
        self._nodes, self._looked = machines(), now
        if self._at_once():
            self._able = now
        elif now - self._able > PATIENCE_SECONDS:
            raise ClusterError(
                f"some machine of the Ray cluster must have what a training asks for, {self._request}; "
                f"there has been none for {PATIENCE_SECONDS:.0f} s, {len(self._nodes)} machines are left: "
                f"add one, and the same command goes on"
            )

    def _at_once(self) -> int:
        return sum(self._request.at_once(node) for node in self._nodes)

    def _disconnect(self) -> None:
        if self._ours:
            ray.shutdown()


def loss_of(error: BaseException, job: Job) -> Lost:
    """What it means for a job that its task has ended with `error`.

    The task itself only hands the job on: what it raises is no fault of the job, and the next would meet it too.
    """
    died = f"the task of trial {job.trial} ended without an outcome"
    if not isinstance(error, ray.exceptions.RayTaskError):
        reason = str(error).strip().partition("\n")[0] or "it was killed"
        return Lost(Failure(FailureKind.DIED, f"{died}: {reason} ({type(error).__name__})"))
    cause = error.cause
    reason = " ".join(f"{type(cause).__name__}: {cause}".split())
    if isinstance(cause, ray.exceptions.RayError):
        return Lost(Failure(FailureKind.DIED, f"{died}, out of touch with the driver: {reason}"))
    failure = disk_failure(cause) if isinstance(cause, BaseException) else None
    return Lost(failure or Failure(FailureKind.ERROR, f"{died}, {reason}"), fatal=failure is None)
