"""Executor of worker processes on this machine, each pinned to a device."""

from __future__ import annotations

import os

from nas.config.workers import AUTO, LOCAL, WorkersSpec
from nas.jobs import Executor, Runner
from nas.workers.devices import cores, slot_devices
from nas.workers.gpus import visible_gpus
from nas.workers.local.executor import LocalExecutor
from nas.workers.local.forked_process import shared_server
from nas.workers.local.process_reuse import AUTO_JOBS, ProcessReuse

BUSY = 0.5
"""Least share of a core that is idle, for a fork server to be started ahead of need."""

PRELOADED = (
    "nas.evaluation.trial_runner",
    "kornia",
    "torch.profiler",
    "torchmetrics",
    "pytorch_lightning",
    "torch",
    "nas.workers.local.preload",
)
"""Modules that a fork server imports once for all of its processes; the last one freezes the garbage collector."""


def make(runner: Runner, workers: WorkersSpec) -> Executor:
    """Return the executor of this machine, with a slot for each device.

    Args:
        runner: runs the jobs; picklable.
        workers: slots, reuse of processes and deadline.
    """
    return LocalExecutor(
        runner,
        slot_devices(workers, visible_gpus()),
        reuse=process_reuse(workers),
        preload=PRELOADED,
        deadline_seconds=workers.deadline_seconds,
    )


def start_loading(workers: WorkersSpec, *, if_idle: bool = False) -> None:
    """Start the fork server of this machine's worker processes, beside whatever this process does next.

    Nothing starts where other machines train. Without a training, the server ends with this process.

    Args:
        workers: the workers of a search.
        if_idle: whether to start only where a core is idle, so that nothing is lost if there will be no training.
    """
    if workers.name == LOCAL and (not if_idle or (cores() > 1 and os.getloadavg()[0] < cores() - BUSY)):
        shared_server(PRELOADED).prepare()


def process_reuse(workers: WorkersSpec) -> ProcessReuse:
    """Return the number of jobs of a worker process: as configured, else by the cost of its start."""
    if workers.jobs_per_child == AUTO:
        return ProcessReuse(AUTO_JOBS, adaptive=True)
    return ProcessReuse(int(workers.jobs_per_child))
