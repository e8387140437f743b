"""Mirroring of every image in every other epoch (Jordan 2024, arXiv:2404.00498, section 3.6)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.data.augment.base import Chunk
from nas.data.augment.flip import Mirroring
from nas.data.statistics import Shape


class AlternatingFlip(Mirroring):
    """Mirroring by turns: a fair coin an image decides about the first epoch, and each epoch is unlike the one before.

    So two epochs in a row show an image both ways, where independent coins show every second image one way twice.
    """

    def mirrored(self, chunk: Chunk) -> Tensor:
        """Return the images whose coin and epoch are of different parity."""
        coins = torch.randint(2, (chunk.total,), generator=torch.Generator().manual_seed(chunk.seed), dtype=torch.uint8)
        return coins[chunk.rows] != chunk.epoch % 2


def make(_: Shape) -> nn.Module:
    """Return a mirroring of every image in every other epoch."""
    return AlternatingFlip()
