"""How the processes of one job find each other: a torch process group over the loopback of this machine alone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from torch import cuda, distributed


def join_group(index: int, count: int, meeting: Path) -> None:
    """Form a process group with the other processes of the job; returns when all are there.

    NCCL carries it where this process sees a GPU, gloo otherwise. They meet by a file rather than at a port: torch's
    own store listens on every network interface, and a port that was free a moment ago may be another job's by now.

    Args:
        index: which of the processes this is, from 0.
        count: how many there are.
        meeting: a file that does not exist yet, known to these processes alone.
    """
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    # Forced, not a default: what a cluster exports for jobs over many machines would open this one to the network.
    os.environ["GLOO_SOCKET_IFNAME"] = os.environ["NCCL_SOCKET_IFNAME"] = loopback
    backend = "nccl" if cuda.is_available() else "gloo"
    store = distributed.FileStore(str(meeting), count)  # type: ignore[attr-defined]  # torch's stub lacks it
    distributed.init_process_group(backend, store=store, rank=index, world_size=count)
