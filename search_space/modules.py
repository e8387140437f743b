"""Modules that a network is made of beside torch's own: branches, sums, taps, and layers over the channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast, final

import torch
from torch import Tensor, nn

Auxiliary = tuple[Tensor, float]
"""Logits (N, classes) of an auxiliary head and the weight of its loss."""


def add(parent: nn.Module, name: str, module: nn.Module) -> None:
    """Add a child module under a name of the graph.

    Raises:
        ValueError: torch modules have an attribute of this name.
    """
    if hasattr(parent, name):
        raise ValueError(f"a node's name must not be an attribute that torch modules have, got {name!r}")
    parent.add_module(name, module)


@final
class Parallel(nn.Module):
    """Parallel branches on one input, concatenated along the channels."""

    def __init__(self, branches: Sequence[tuple[str, nn.Module]]) -> None:
        super().__init__()
        for name, branch in branches:
            add(self, name, branch)

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, sum of the branches' channels, H', W')
        """Return the branches' outputs, one after another along the channels."""
        outputs = [branch(x) for branch in self.children()]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1)


@final
class Sum(nn.Module):
    """Residual: a body added to a shortcut of the same input."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, activation: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C', H', W')
        """Return the activated sum of both sides."""
        return cast(Tensor, self.activation(self.body(x) + self.shortcut(x)))


@final
class Tapped(nn.Module):
    """Tap: passes its input on; in training also runs the head and appends its logits to `outputs`."""

    def __init__(self, head: nn.Module, weight: float, outputs: list[Auxiliary]) -> None:
        super().__init__()
        self.head = head
        self.weight = weight
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H, W)
        """Return the input; in training, append the head's logits and their weight."""
        if self.training:
            self.outputs.append((self.head(x).flatten(1), self.weight))
        return x


@final
class Cut(nn.Module):
    """Slice of the channels, from `start` up to and without `stop`."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start = start
        self.stop = stop

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, stop - start, H, W)
        """Return the channels of the slice."""
        return x[:, self.start : self.stop]


@final
class Subsample(nn.Module):
    """Every n-th row and column, from the first on: a strided 1×1 convolution is one of stride 1 behind it."""

    def __init__(self, stride: tuple[int, int]) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, ceil(H / stride), ceil(W / stride))
        """Return the rows and columns."""
        return x[:, :, :: self.stride[0], :: self.stride[1]]


@final
class ConstantScale(nn.Module):
    """Multiplication by a constant."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor) -> Tensor:  # any shape
        """Return the product."""
        return x * self.value


@final
class ChannelScale(nn.Module):
    """Multiplication by a learned factor per channel."""

    def __init__(self, channels: int, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), float(value)))

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H, W)
        """Return the product."""
        return x * self.weight.reshape(-1, 1, 1)


@final
class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each cell."""

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H, W)
        """Return the normalised input."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


@final
class Dense(nn.Linear):
    """Linear layer over the flattened input; its output is one cell, so that any node can follow it."""

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, features, 1, 1)
        """Return the features as channels of one cell."""
        return super().forward(x.flatten(1))[:, :, None, None]
