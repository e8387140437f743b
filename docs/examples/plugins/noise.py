"""Augmentation: Gaussian noise on normalised images."""

import torch
from torch import nn


class Noise(nn.Module):
    """Module that adds noise; draws come from torch's global generator, which is seeded for each chunk of an epoch."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, images: torch.Tensor) -> torch.Tensor:  # (B, C, H, W)
        """Return the noisy images."""
        return images + self.deviation * torch.randn(images.shape).to(images.device)


def make(shape: tuple[int, int, int], *, deviation: float = 0.1) -> Noise:
    """Return the augmentation for images of `shape` (C, H, W)."""
    return Noise(deviation)
