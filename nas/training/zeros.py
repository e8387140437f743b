"""Weights of zero that stay zero in a training, those of a pruned network."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class HeldZeros:
    """Masks of the weights of convolutions and dense layers that are zero when the training begins or goes on.

    A checkpoint has these zeros too, so that a training that goes on from one needs no masks of its own.
    """

    def __init__(self, network: nn.Module) -> None:
        """Note the zeros of a network that is on its device already."""
        weights: list[Tensor] = [weight for weight in network.parameters() if weight.dim() > 1]
        masks = [(weight != 0).to(weight.dtype) for weight in weights]
        pairs = [(weight, mask) for weight, mask in zip(weights, masks, strict=True) if not bool(mask.all())]
        self._weights = [weight for weight, _ in pairs]
        self._masks = [mask for _, mask in pairs]

    @torch.no_grad()
    def hold(self) -> None:
        """Set the weights to zero again after a step."""
        if self._weights:
            torch._foreach_mul_(self._weights, self._masks)
