"""Executor of jobs on this machine: each slot has a worker process, forked with the heavy libraries loaded.

Separate processes confine a crash, a leak or a kill to one job. A process that ended by a signal, that of the
out-of-memory killer too, is a failure of kind `died`, on which `nas/jobs/failures.py` decides. A fresh process costs
0.08 s where spawning costs 4.4 s; if that still counts, a process runs several jobs. A job over several devices takes a
slot and a fresh process for each of them, and fails as soon as one of them fails or dies.
"""

from __future__ import annotations

import signal
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import final

from nas.jobs import Epoch, Failure, FailureKind, Job, Outcome, Runner
from nas.jobs.device_lock import SharedDevices
from nas.workers.local.forked_process import UNKNOWN
from nas.workers.local.memory_kills import memory_kills
from nas.workers.local.process_pool import GRACE_SECONDS, ProcessPool, WorkerProcess
from nas.workers.local.process_reuse import ONE_JOB, ProcessReuse
from nas.workers.local.worker_loop import READY, STOP, MemberEpoch, Report

FAILURE_GRACE_SECONDS = 2.0
"""Wait for the other ranks' reports after an error of one of them."""

KILLED = (-signal.SIGKILL, -signal.SIGTERM, None, UNKNOWN)
"""Exit codes of a process that may have been ended from outside."""

OnEpoch = Callable[[Job, Epoch], None]


@final
@dataclass
class LocalHandle:
    """A running job and its worker processes, one a device; the first is rank zero."""

    job: Job
    workers: tuple[WorkerProcess, ...]
    on_epoch: OnEpoch
    slots: tuple[int, ...]
    started: float
    rows: defaultdict[int, list[Epoch]] = field(default_factory=lambda: defaultdict(list))
    reports: dict[WorkerProcess, Report | None] = field(default_factory=dict)
    failed_at: float | None = None
    overdue: bool = False
    ended: bool = False

    @property
    def rank_zero(self) -> WorkerProcess:
        """The process that sends epochs, and whose outcome is the job's."""
        return self.workers[0]

    @property
    def pending(self) -> tuple[WorkerProcess, ...]:
        """The processes whose report has not arrived."""
        return tuple(worker for worker in self.workers if worker not in self.reports)

    @property
    def is_over(self) -> bool:
        """True if rank zero has ended the job, or the cause of its failure is known.

        An error of one rank may follow from the death of another and arrive first, so the others get a grace period.
        """
        report = self.reports.get(self.rank_zero)
        if report is not None and report.outcome.failure is None:
            return True
        if self.failed_at is None:
            return False
        certain = any(report is None or _fails_by_itself(report) for report in self.reports.values())
        return certain or not self.pending or time.monotonic() > self.failed_at + FAILURE_GRACE_SECONDS

    def stop_after_epoch(self) -> None:
        """Ask the job to end after its current epoch; the other ranks follow rank zero."""
        if not self.ended:  # the process may have another job by now
            self.rank_zero.send(STOP)  # if it is gone already, `wait` finds out

    def kill(self) -> None:
        """Kill the job's processes."""
        for worker in () if self.ended else self.workers:
            worker.kill()

    def receive(self, worker: WorkerProcess) -> None:
        """Receive one message of a process: an epoch, its report, or the end of the pipe if it died."""
        message = worker.receive()
        if message == READY:
            return
        if isinstance(message, Epoch):
            message = MemberEpoch(0, message)
        if isinstance(message, MemberEpoch):
            self.rows[message.member].append(message.row)
            self.on_epoch(self.job.members[message.member], message.row)
            return
        report = message if isinstance(message, Report) else None
        self.reports[worker] = report
        if self.failed_at is None and (report is None or report.outcome.failure):
            self.failed_at = time.monotonic()


def _fails_by_itself(report: Report) -> bool:
    """Return whether the reported failure can't be a consequence of another rank's."""
    return report.outcome.failure is not None and report.outcome.failure.kind != FailureKind.ERROR


@final
class LocalExecutor:
    """Executor that runs jobs in worker processes on this machine."""

    def __init__(
        self,
        runner: Runner,
        devices: Sequence[str | None],
        *,
        reuse: ProcessReuse = ONE_JOB,
        preload: Sequence[str] = (),
        deadline_seconds: float | None = None,
    ) -> None:
        """Configure the slots, once no measurement of latencies runs; the fork server starts with the first job.

        Args:
            runner: runs the jobs; picklable.
            devices: device of each slot, at least one: the GPU that its jobs may see, or None for the CPU.
            reuse: number of jobs of a worker process.
            preload: modules that the fork server imports once for all processes.
            deadline_seconds: seconds after which a job is killed, positive; None for no limit.

        Raises:
            ValueError: there is no device.
        """
        if not devices:
            raise ValueError("an executor needs at least one slot, got none")
        self._pool = ProcessPool(runner, reuse, preload)
        self._devices = tuple(devices)
        self._deadline = deadline_seconds
        self._handles: list[LocalHandle] = []
        self._idle: dict[int, WorkerProcess] = {}
        self._rendezvous: TemporaryDirectory[str] | None = None
        self._groups = 0
        self._proven = False
        self._kills = memory_kills()
        self._share = SharedDevices()
        self._share.take()

    @property
    def slots(self) -> int:
        """Number of single-device jobs that can run at once."""
        return len(self._devices)

    @property
    def handles(self) -> tuple[LocalHandle, ...]:
        """The running jobs."""
        return tuple(self._handles)

    def submit(self, job: Job, on_epoch: OnEpoch) -> LocalHandle:
        """Start `job` on as many free slots as it has devices.

        Raises:
            ValueError: too few slots are free.
        """
        self._share.take()  # an executor may be used again after its end
        self._pool.reap()
        free = sorted(set(range(self.slots)) - {slot for handle in self._handles for slot in handle.slots})
        if job.devices > len(free):
            raise ValueError(f"a job over {job.devices} devices needs as many free slots, got {len(free)}")
        slots = tuple(free[: job.devices])
        workers = (self._start(job, slots[0]),) if job.devices == 1 else self._start_ranks(job, slots)
        handle = LocalHandle(job, workers, on_epoch, slots, time.monotonic())
        self._handles.append(handle)
        return handle

    def wait(self, timeout: float) -> Sequence[Outcome]:
        """Block until a job ends, or for `timeout` seconds; return the outcomes of the jobs that ended."""
        until = time.monotonic() + timeout
        while True:
            self._pool.reap()
            self._kill_overdue()
            left = max(0.0, until - time.monotonic())
            ready = wait([worker.connection for handle in self._handles for worker in handle.pending], left)
            outcomes = [outcome for handle in list(self._handles) if (outcome := self._receive(handle, ready))]
            if outcomes or left == 0.0:
                return outcomes

    def close(self) -> None:
        """Kill all worker processes and wait for their end."""
        for handle in self._handles:
            handle.kill()
            handle.ended = True
        for worker in [*(worker for handle in self._handles for worker in handle.workers), *self._idle.values()]:
            self._pool.release(worker, grace=0.0)
        self._handles.clear()
        self._idle.clear()
        self._pool.reap(block=True)
        self._share.release()
        if self._rendezvous is not None:
            self._rendezvous.cleanup()
            self._rendezvous = None

    def _start(self, job: Job, slot: int) -> WorkerProcess:
        """Send the job to the slot's idle process if it has one, else to a fresh one."""
        worker = self._idle.pop(slot, None)
        if worker is not None:
            if worker.is_idle and worker.send(job):
                return worker
            self._pool.release(worker)
        worker = self._pool.start(self._devices[slot])
        worker.send(job)
        return worker

    def _start_ranks(self, job: Job, slots: Sequence[int]) -> tuple[WorkerProcess, ...]:
        """Send the job to a fresh process on each of the slots."""
        for slot in slots:
            if slot in self._idle:
                self._pool.release(self._idle.pop(slot))
        self._rendezvous = self._rendezvous or TemporaryDirectory(prefix="nas-")
        self._groups += 1
        rendezvous = Path(self._rendezvous.name) / str(self._groups)
        workers = self._pool.start_ranks([self._devices[slot] for slot in slots], rendezvous)
        for worker in workers:
            worker.send(job)
        return workers

    def _receive(self, handle: LocalHandle, ready: Sequence[object]) -> Outcome | None:
        """Receive a message of each process of a job that has one; return the job's outcome if the job is over."""
        for worker in handle.pending:
            if worker.connection in ready:
                handle.receive(worker)
                self._proven = self._proven or worker.ready
        if not handle.is_over:
            return None
        self._handles.remove(handle)
        handle.ended = True
        report = handle.reports.get(handle.rank_zero)
        if report is not None and report.stays:
            self._idle[handle.slots[0]] = handle.rank_zero
            return report.outcome
        outcome = report.outcome if report is not None and report.outcome.failure is None else self._failed(handle)
        for worker in handle.workers:
            self._pool.release(worker)
        return outcome

    def _failed(self, handle: LocalHandle) -> Outcome:
        """Return the outcome of a job of which a process failed or died, and kill the others."""
        for worker in handle.pending:
            while worker not in handle.reports and worker.connection.poll():
                handle.receive(worker)  # epochs of rank zero that are on their way, or a death at the same time
        for worker in handle.pending:
            worker.kill()
        report, failure = handle.reports.get(handle.rank_zero), self._cause(handle)
        if report is not None and report.outcome.failure is failure:
            return report.outcome
        curves = [tuple(handle.rows[index]) for index in range(len(handle.job.members))]
        return Outcome.failing(handle.job, failure, curves)

    def _kill_overdue(self) -> None:
        if self._deadline is None:
            return
        for handle in self._handles:
            deadline = self._deadline * len(handle.job.members)
            if not handle.overdue and time.monotonic() - handle.started > deadline:
                handle.overdue = True
                handle.kill()

    def _cause(self, handle: LocalHandle) -> Failure:
        """Return the cause of a job's failure: its deadline, else a death, else a specific failure, else an error.

        A rank that dies breaks the gradient exchange of the others, so their failures are consequences of its death.
        """
        if handle.overdue:
            message = f"trial {handle.job.trial} took longer than its deadline and was killed"
            return Failure(FailureKind.DEADLINE, message)
        dead = [worker for worker, report in handle.reports.items() if report is None]
        if dead:
            return self._death(handle, dead[0])
        failures = [(r.sent_at, r.outcome.failure) for r in handle.reports.values() if r and r.outcome.failure]
        return min(failures, key=lambda failed: (failed[1].kind == FailureKind.ERROR, failed[0]))[1]

    def _death(self, handle: LocalHandle, worker: WorkerProcess) -> Failure:
        """Return the failure of a process that ended without an outcome: killed, out of memory, or never started."""
        worker.process.join(GRACE_SECONDS)
        code, before, self._kills = worker.process.exitcode, self._kills, memory_kills()
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        index, count = handle.workers.index(worker), len(handle.workers)
        which = "the process" if count == 1 else f"process {index + 1} of {count}"
        died = f"{which} of trial {handle.job.trial} ended with {how}"
        if code == -signal.SIGKILL and self._kills > before:
            return Failure(FailureKind.OUT_OF_MEMORY, f"{died}, killed by the system as memory ran out")
        if worker.ready:
            return Failure(FailureKind.DIED, f"{died} and without an outcome")
        last = worker.process.last_output()
        by_itself = code not in KILLED and not self._proven
        kind = FailureKind.START if by_itself else FailureKind.DIED
        return Failure(kind, f"{died} before it could take a job" + (f"; its last output: {last}" if last else ""))
