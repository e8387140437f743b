"""Data-parallel training of one network by several processes, called ranks; only rank 0 writes.

The executor forms torch's process group in each process before the training starts, which only detects the group.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, final

import torch
from lightning_fabric.plugins import ClusterEnvironment
from pytorch_lightning.strategies import DDPStrategy
from torch import Tensor, distributed


@final
@dataclass(frozen=True)
class Ranks:
    """Rank of this process and number of ranks.

    Attributes:
        index: rank of this process, 0-based.
        count: number of ranks, at least 1.
    """

    index: int = 0
    count: int = 1

    @classmethod
    def current(cls) -> Ranks:
        """Return the ranks of this process's group, or a single rank if it has none."""
        if not distributed.is_available() or not distributed.is_initialized():
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def first(self) -> bool:
        """True for rank 0, which writes."""
        return self.index == 0

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of a tensor over all ranks; every rank must call this."""
        if self.count == 1:
            return values
        summed = values.clone()
        distributed.all_reduce(summed)
        return summed

    def any(self, holds: bool, device: torch.device) -> bool:
        """Return whether `holds` is true on any rank; every rank must call this."""
        return holds if self.count == 1 else bool(self.total(torch.tensor(int(holds), device=device)))

    @torch.no_grad()
    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over all ranks, in one all-reduce; every rank must call this."""
        given = list(tensors)
        if self.count == 1 or not given:
            return
        mean = self.total(torch.cat([tensor.flatten() for tensor in given])) / self.count
        for tensor, values in zip(given, torch.split(mean, [tensor.numel() for tensor in given]), strict=True):
            tensor.copy_(values.view_as(tensor))

    def trainer_options(self) -> dict[str, Any]:
        """Return arguments of Lightning's Trainer for several ranks; none for a single one."""
        if self.count == 1:
            return {}
        # Otherwise Lightning's launcher gives every rank all cores.
        os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())
        # `Classifier` averages the ranks' batch norms once an epoch; DDP would copy those of rank 0 at every step.
        strategy = DDPStrategy(
            cluster_environment=_RunningRanks(self), broadcast_buffers=False, gradient_as_bucket_view=True
        )
        return {"strategy": strategy, "num_nodes": self.count}


SINGLE = Ranks()
"""The only process of a training."""


@final
class _RunningRanks(ClusterEnvironment):
    """Environment for Lightning of ranks that run already, each a node with one device."""

    def __init__(self, ranks: Ranks) -> None:
        super().__init__()
        self._ranks = ranks

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        return "127.0.0.1"

    @property
    def main_port(self) -> int:
        return 0  # never connected to: the process group exists already

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return self._ranks.count

    def set_world_size(self, size: int) -> None:
        assert size == self._ranks.count

    def global_rank(self) -> int:
        return self._ranks.index

    def set_global_rank(self, rank: int) -> None:
        assert rank == self._ranks.index

    def local_rank(self) -> int:
        return 0

    def node_rank(self) -> int:
        return self._ranks.index
