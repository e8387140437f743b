"""Mean of two images and of their labels (Zhang et al. 2018, arXiv:1710.09412)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.data.augment.base import MixingAugmentation, take
from nas.data.copies import place
from nas.data.statistics import Shape


class Mixup(MixingAugmentation):
    """Weighted mean of an image and its partner, with a weight of its own for each image.

    Args:
        alpha: both parameters of the beta distribution of the weights, positive.
        probability: probability that an image is mixed.
    """

    def __init__(self, alpha: float, probability: float) -> None:
        super().__init__()
        self.alpha, self.probability = alpha, probability

    def forward(self, images: Tensor, targets: Tensor, partners: Tensor) -> tuple[Tensor, Tensor]:
        """Mix images and targets with the same weights."""
        weights = place(kept_shares(len(images), self.alpha, self.probability), images.device)
        return (
            torch.lerp(take(images, partners), images, weights.view(-1, 1, 1, 1)),
            torch.lerp(targets[partners], targets, weights.view(-1, 1)),
        )


def kept_shares(count: int, alpha: float, probability: float) -> Tensor:
    """Draw the share that each image keeps of itself, (count,) float32 on the CPU: beta(alpha, alpha), or 1."""
    drawn = torch.distributions.Beta(alpha, alpha).sample((count,))
    return torch.where(torch.rand(count) < probability, drawn, 1.0)


def check_mixing(name: str, alpha: float, probability: float) -> None:
    """Refuse options out of range.

    Raises:
        ValueError: such an option.
    """
    if not 0 < alpha <= 100:
        raise ValueError(f"option alpha of {name} must lie in (0, 100], got {alpha:g}")
    if not 0 < probability <= 1:
        raise ValueError(f"option probability of {name} must lie in (0, 1], got {probability:g}")


def make(_: Shape, *, alpha: float = 0.2, probability: float = 1.0) -> nn.Module:
    """Return a mean of two images, with weights drawn from beta(alpha, alpha)."""
    check_mixing("mixup", alpha, probability)
    return Mixup(alpha, probability)
