"""Exponential moving average of the weights of a training."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


def warmed_decay(decay: float, updates: int) -> float:
    """Return the decay of a moving average after some updates, which rises to `decay`.

    It is min(decay, (1 + n) / (10 + n)), the schedule of TensorFlow's `ExponentialMovingAverage`: after n updates the
    average spans about n / 9 of them, so that it never holds much of the initial weights. With decay 0.995 it is
    `decay` from 1,790 updates on.

    >>> round(warmed_decay(0.995, 1), 3), round(warmed_decay(0.995, 144), 3), warmed_decay(0.995, 1790)
    (0.182, 0.942, 0.995)
    """
    return min(decay, (1 + updates) / (10 + updates))


class WeightAverage(nn.Module):
    """Exponential moving average of a network's weights, and of its running statistics.

    The first update copies the weights; the decay then rises as `warmed_decay` does. Running statistics of batch
    normalisation are averaged with the same decay, because those of the network belong to other weights.

    Attributes:
        module: network with the averaged weights.
        updates: number of updates so far.
    """

    def __init__(self, network: nn.Module, decay: float, updates: int) -> None:
        super().__init__()
        self.module = copy.deepcopy(network).requires_grad_(False)
        self.updates = updates
        self._decay = decay
        self._source = network.state_dict
        self._pairs: tuple[list[Tensor], list[Tensor]] | None = None
        self._counters: tuple[list[Tensor], list[Tensor]] = ([], [])

    @torch.no_grad()
    def update(self) -> None:
        """Take in the network's present weights; module and network must stay on their device from the first on."""
        averages, weights = self._pairs or self._paired()
        if self.updates == 0:
            torch._foreach_copy_(averages, weights)
        else:
            torch._foreach_lerp_(averages, weights, 1 - warmed_decay(self._decay, self.updates))
        if self._counters[0]:
            torch._foreach_copy_(*self._counters)
        self.updates += 1

    def _paired(self) -> tuple[list[Tensor], list[Tensor]]:
        """Return the averages and the network's tensors in the same order, and remember both."""
        source = self._source()
        pairs = [(average, source[name]) for name, average in self.module.state_dict().items()]
        self._counters = (
            [average for average, _ in pairs if not average.is_floating_point()],
            [counter for average, counter in pairs if not average.is_floating_point()],
        )
        self._pairs = (
            [average for average, _ in pairs if average.is_floating_point()],
            [weight for average, weight in pairs if average.is_floating_point()],
        )
        return self._pairs
