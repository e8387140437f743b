"""A job over several devices: its processes find each other, and form a torch process group over the loopback alone."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nas.jobs import Control, Job, Outcome, Runner


@final
@dataclass(frozen=True)
class Rank:
    """Carries out a job as one of its processes.

    Attributes:
        runner: carries it out together with the other processes, once there is a process group.
        index: which of the processes this is, from 0.
        meeting: a file that does not exist yet, known to these processes alone.
    """

    runner: Runner
    index: int
    meeting: Path

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job` when all of its processes are there."""
        join_group(self.index, job.devices, self.meeting)
        return self.runner(job, control)


def join_group(index: int, count: int, meeting: Path) -> None:
    """Form a process group with the other processes of the job; returns when all are there.

    NCCL carries it where this process sees a GPU, gloo otherwise. They meet by a file rather than at a port: torch's
    own store listens on every network interface, and a port that was free a moment ago may be another job's by now.

    Args:
        index: which of the processes this is, from 0.
        count: how many there are.
        meeting: a file that does not exist yet, known to these processes alone.
    """
    from torch import cuda, distributed  # noqa: PLC0415 - whoever only starts children does without torch

    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    # Forced, not a default: what a cluster exports for jobs over many machines would open this one to the network.
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = loopback
    backend = "nccl" if cuda.is_available() else "gloo"
    store = distributed.FileStore(str(meeting), count)  # type: ignore[attr-defined]  # torch's stub lacks it
    distributed.init_process_group(backend, store=store, rank=index, world_size=count)
