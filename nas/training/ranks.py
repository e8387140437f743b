"""Several processes that train one network together: which of them this is, and what they agree on.

Whoever starts the processes forms torch's process group in each of them first; a training only looks whether there is
one. The processes are called ranks, and rank 0 alone writes.
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
    """The processes that train one network together.

    Attributes:
        index: which of them this process is, from 0.
        count: how many there are, at least 1.
    """

    index: int = 0
    count: int = 1

    @classmethod
    def here(cls) -> Ranks:
        """The ranks of this process's group; alone where it has none."""
        if not distributed.is_available() or not distributed.is_initialized():
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.index == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum over all ranks of a tensor that each of them has; every rank must ask."""
        if self.count == 1:
            return values
        summed = values.clone()
        distributed.all_reduce(summed)
        return summed

    def any(self, holds: bool, device: torch.device) -> bool:
        """Whether something holds on any rank; every rank must ask."""
        return holds if self.count == 1 else bool(self.total(torch.tensor(int(holds), device=device)))

    @torch.no_grad()
    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over all ranks, in one exchange; every rank must ask."""
        given = list(tensors)
        if self.count == 1 or not given:
            return
        mean = self.total(torch.cat([tensor.flatten() for tensor in given])) / self.count
        for tensor, values in zip(given, torch.split(mean, [tensor.numel() for tensor in given]), strict=True):
            tensor.copy_(values.view_as(tensor))

    def trainer_options(self) -> dict[str, Any]:
        """What Lightning's Trainer is told beside what it is told of a training on one device."""
        if self.count == 1:
            return {}
        # Lightning's launcher otherwise gives every rank all cores.
        os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())
        # The ranks' batch norms are averaged once an epoch, see `Classifier`; DDP would copy rank 0's at every step.
        strategy = DDPStrategy(
            cluster_environment=_Started(self), broadcast_buffers=False, gradient_as_bucket_view=True
        )
        return {"strategy": strategy, "num_nodes": self.count}


ALONE = Ranks()
"""A process that trains a network by itself."""


@final
class _Started(ClusterEnvironment):
    """Tells Lightning that the ranks run already, each with one device of its own: each is a node to it."""

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
        return 0  # nobody connects to it: the process group stands already

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
