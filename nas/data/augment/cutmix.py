"""Rectangle of another image, and its share of the label (Yun et al. 2019, arXiv:1905.04899)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.data.augment.base import MixingAugmentation, take
from nas.data.augment.cutout import with_boxes
from nas.data.augment.mixup import check_mixing, kept_shares
from nas.data.copies import place
from nas.data.statistics import Shape


class Cutmix(MixingAugmentation):
    """Rectangle of the partner in place of the image's own pixels; the label is shared by area.

    The rectangle has the image's proportions and a random center, and is cut at the image's edges.

    Args:
        alpha: both parameters of the beta distribution of the share that is kept, positive.
        probability: probability that an image is mixed.
    """

    def __init__(self, alpha: float, probability: float) -> None:
        super().__init__()
        self.alpha, self.probability = alpha, probability

    def forward(self, images: Tensor, targets: Tensor, partners: Tensor) -> tuple[Tensor, Tensor]:
        """Mix images, and targets by the areas."""
        count, _, height, width = images.shape
        share = (1 - kept_shares(count, self.alpha, self.probability)).sqrt()
        rows, columns = (_interval(share, size) for size in (height, width))
        areas = (rows[1] - rows[0]) * (columns[1] - columns[0])
        kept = place(1 - areas / (height * width), images.device)
        mixed = with_boxes(images, rows, columns, take(images, partners))
        return mixed, torch.lerp(targets[partners], targets, kept.view(-1, 1))


def _interval(share: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the first position inside each interval and the first after it, for a share of so many positions."""
    length = (share * size).floor().long()
    first = torch.randint(size, share.shape) - length // 2
    return first.clamp(min=0), (first + length).clamp(max=size)


def make(_: Shape, *, alpha: float = 1.0, probability: float = 1.0) -> nn.Module:
    """Return a rectangle of another image, whose area is drawn from beta(alpha, alpha)."""
    check_mixing("cutmix", alpha, probability)
    return Cutmix(alpha, probability)
