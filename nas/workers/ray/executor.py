"""Executor of jobs on a Ray cluster: the driver resubmits, and Ray finds a machine for each job.

A job is a Ray task that Ray never retries. Its messages come through a mailbox on the driver's machine, and a thread
of the driver receives them at once, so that a checkpoint is on the driver's disk while the driver is busy asking the
sampler. The loss of a machine therefore costs the epochs that it was in.
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
from nas.data.transfer import CacheTransfer
from nas.jobs import Epoch, Failure, FailureKind, Job, Outcome, Runner
from nas.jobs.failures import disk_failure
from nas.workers import local
from nas.workers.ray.cluster import ClusterError, connect, machines, resource_request
from nas.workers.ray.driver_mailbox import DriverMailbox, JobEvent
from nas.workers.ray.messages import STOP, EpochEnded, FileTransfer, JobEnded, RayTask, TaskLost
from nas.workers.ray.packed_runner import ImageRunner
from nas.workers.ray.task import own_version, supervise
from search_space.plugins import trusted_modules

LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 60.0
"""Seconds that a cluster may lack a machine with the resources of a training before the search ends."""

OnEpoch = Callable[[Job, Epoch], None]


def ray_executor(runner: Runner, workers: WorkersSpec) -> RayExecutor:
    """Return an executor on the cluster that `workers` describes, see `nas.workers.ray.make`."""
    return RayExecutor(
        runner,
        workers,
        transfer=CacheTransfer.of(runner.images) if isinstance(runner, ImageRunner) else None,
        preload=local.PRELOADED,
        deadline_seconds=workers.deadline_seconds,
    )


@final
@dataclass
class RayHandle:
    """A job on the cluster, waiting or running."""

    job: Job
    key: int
    task: Any
    on_epoch: OnEpoch
    mailbox: DriverMailbox
    rows: list[Epoch] = field(default_factory=list)

    def stop_after_epoch(self) -> None:
        """Ask the job to end after its current epoch, or cancel it if it still waits for a machine."""
        if self.mailbox.has_started(self.key):
            self.mailbox.send(self.key, STOP)
        else:
            self.mailbox.call_soon(self.kill)

    def kill(self) -> None:
        """Kill the job's task."""
        ray.cancel(self.task, force=True)


@final
class RayExecutor:
    """Executor that runs jobs on the machines of a Ray cluster."""

    def __init__(
        self,
        runner: Runner,
        spec: WorkersSpec,
        *,
        transfer: FileTransfer | None = None,
        preload: Sequence[str] = (),
        deadline_seconds: float | None = None,
    ) -> None:
        """Join the cluster, or start one.

        Args:
            runner: runs the jobs; picklable.
            spec: address of the cluster, and resources of a training.
            transfer: files that the runner reads and machines may have to fetch; an `ImageRunner` gets their folder.
            preload: modules that the fork server of each machine imports once for all processes.
            deadline_seconds: seconds after which a training is killed, positive; None for no limit.

        Raises:
            ClusterError: there is no such cluster, or no machine of it has the resources of a training.
        """
        self._owns_connection = connect(spec)
        self._closed = False
        self._spec = spec
        self._machines = machines()
        try:
            self._request = resource_request(spec, self._machines)
        except ClusterError:
            self._disconnect()
            raise
        self._looked_at = self._able_at = time.monotonic()
        self._runner = pickle.dumps(runner)
        self._transfer = transfer
        self._preload = tuple(preload)
        self._deadline = deadline_seconds
        self._mailbox = DriverMailbox(transfer)
        self._keys = count()
        self._handles: dict[int, RayHandle] = {}
        # Ray would end a worker that has had a GPU after each task; here only the worker's own process uses the GPU.
        self._supervise: Any = ray.remote(max_retries=0, max_calls=0)(supervise)

    @property
    def slots(self) -> int:
        """Number of single-device jobs that can run at once: as configured, else the capacity of the machines now."""
        self._look()
        return int(self._spec.slots) if self._spec.slots != AUTO else max(1, self._capacity())

    @property
    def handles(self) -> tuple[RayHandle, ...]:
        """The jobs on the cluster."""
        return tuple(self._handles.values())

    def submit(self, job: Job, on_epoch: OnEpoch) -> RayHandle:
        """Submit `job` to the cluster, for a machine that has all of its devices."""
        request, key = self._request.over(job.devices), next(self._keys)
        task = RayTask(
            key=key,
            job=replace(job, folder=job.folder.absolute(), checkpoint=job.checkpoint and job.checkpoint.absolute()),
            runner=self._runner,
            token=self._mailbox.register(key, job),
            transfer=self._transfer,
            preload=self._preload,
            on_gpu=request.gpus > 0,
            deadline_seconds=self._deadline,
            version=own_version(),
            plugins=tuple(trusted_modules()),
        )
        remote_supervise = self._supervise.options(num_cpus=request.cpus, num_gpus=request.gpus)
        handle = RayHandle(job, key, remote_supervise.remote(task, self._mailbox.actor), on_epoch, self._mailbox)
        self._handles[key] = handle
        handle.task.future().add_done_callback(lambda done: self._on_task_end(key, job, done.exception()))
        return handle

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Block until a job ends, or for `timeout` seconds; return the outcomes of the jobs that ended.

        Raises:
            ClusterError: the cluster has lacked a machine for a training for a minute, or can't run the tasks.
        """
        until = time.monotonic() + timeout
        while True:
            self._look()
            left = max(0.0, until - time.monotonic())
            events = self._events(min(left, LOOK_SECONDS))
            outcomes = [outcome for key, event in events if (outcome := self._handle(key, event))]
            if outcomes or left == 0.0:
                return outcomes

    def close(self) -> None:
        """Kill all tasks and leave the cluster; one that was started here ends."""
        if self._closed:
            return
        self._closed = True
        for handle in self._handles.values():
            handle.kill()
        self._handles.clear()
        self._mailbox.close()
        self._disconnect()

    def _events(self, timeout: float) -> list[tuple[int, JobEvent]]:
        """Return all queued events, or the first that arrives within `timeout` seconds."""
        found: list[tuple[int, JobEvent]] = []
        try:
            while True:
                event = self._mailbox.events.get(timeout=0.0 if found else timeout)
                if event is None:
                    raise ClusterError(
                        "the search's mailbox on this machine is gone: Ray, or the system, has killed it"
                    )
                found.append(event)
        except Empty:
            return found

    def _handle(self, key: int, event: JobEvent) -> Outcome | None:
        """Act on an event; return the outcome if it ends the job."""
        handle = self._handles.get(key)
        if handle is None:
            return None
        match event:
            case EpochEnded(row, _):
                handle.rows.append(row)
                handle.on_epoch(handle.job, row)
                return None
            case JobEnded(outcome, _):
                del self._handles[key]
                return outcome
            case TaskLost(failure, fatal):
                if fatal:
                    raise ClusterError(failure.message)
                del self._handles[key]
                handle.kill()
                return Outcome(handle.job, tuple(handle.rows), None, failure)

    def _on_task_end(self, key: int, job: Job, error: BaseException | None) -> None:
        """Report a task that ended with an error, in a thread of Ray's; the others have sent their outcome."""
        if error is not None:
            self._mailbox.report_lost(key, loss_of(error, job))

    def _look(self) -> None:
        """Update the list of machines, at most once in `LOOK_SECONDS`."""
        now = time.monotonic()
        if self._closed or now - self._looked_at < LOOK_SECONDS:
            return
        self._machines, self._looked_at = machines(), now
        if self._capacity():
            self._able_at = now
        elif now - self._able_at > PATIENCE_SECONDS:
            raise ClusterError(
                f"a machine of the Ray cluster must have the resources of a training, {self._request}; "
                f"none has had them for {PATIENCE_SECONDS:.0f} s, {len(self._machines)} machines are left: "
                f"add one and resume with the same command"
            )

    def _capacity(self) -> int:
        return sum(self._request.capacity(machine) for machine in self._machines)

    def _disconnect(self) -> None:
        if self._owns_connection:
            ray.shutdown()


def loss_of(error: BaseException, job: Job) -> TaskLost:
    """Return the loss of a job whose task ended with `error`.

    The task only forwards the job: an exception of its own is no fault of the job, and every task would raise it.
    """
    died = f"the task of trial {job.trial} ended without an outcome"
    if not isinstance(error, ray.exceptions.RayTaskError):
        reason = str(error).strip().partition("\n")[0] or "it was killed"
        return TaskLost(Failure(FailureKind.DIED, f"{died}: {reason} ({type(error).__name__})"))
    cause = error.cause
    reason = " ".join(f"{type(cause).__name__}: {cause}".split())
    if isinstance(cause, ray.exceptions.RayError):
        return TaskLost(Failure(FailureKind.DIED, f"{died}, out of touch with the driver: {reason}"))
    failure = disk_failure(cause) if isinstance(cause, BaseException) else None
    return TaskLost(failure or Failure(FailureKind.ERROR, f"{died}, {reason}"), fatal=failure is None)
