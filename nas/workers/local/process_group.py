"""torch process group of a job over several devices, on the loopback interface alone."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nas.jobs import Control, Job, Outcome, Runner


@final
@dataclass(frozen=True)
class RankRunner:
    """Runner of one rank of a job.

    Attributes:
        runner: runs the job once the process group exists.
        rank: this process' rank, from 0.
        rendezvous: path of a file that does not exist yet, known to the ranks of this job alone.
    """

    runner: Runner
    rank: int
    rendezvous: Path

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job` once all of its ranks have joined."""
        join_process_group(self.rank, job.devices, self.rendezvous)
        return self.runner(job, control)


def join_process_group(rank: int, world_size: int, rendezvous: Path, backend: str | None = None) -> None:
    """Join the job's process group; return once all ranks have joined.

    The rendezvous is a file rather than a port: torch's TCP store listens on every network interface, and a port that
    was free a moment ago may be another job's by now.

    Args:
        rank: this process' rank, from 0.
        world_size: number of ranks.
        rendezvous: path of a file that does not exist yet, known to the ranks of this job alone.
        backend: `nccl` or `gloo`; None for NCCL if this process sees a GPU, and else gloo. NCCL needs a GPU a rank.
    """
    from torch import cuda, distributed  # noqa: PLC0415 - a process that only starts workers does without torch

    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    # Forced, not a default: a setting that a cluster exports for multi-node jobs would open this one to the network.
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = loopback
    backend = backend or ("nccl" if cuda.is_available() else "gloo")
    store = distributed.FileStore(str(rendezvous), world_size)  # type: ignore[attr-defined]  # torch's stub lacks it
    distributed.init_process_group(backend, store=store, rank=rank, world_size=world_size)
