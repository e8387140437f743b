"""Convolutions and pools of one network, with their norm, bias, activation and padding at the border."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from search_space.graph import Conv, Norm, Pair, Pool
from search_space.leaves import check

BORDERS = ("same", "valid", "ceil")


@final
@dataclass(frozen=True, slots=True)
class Units:
    """Factory of the convolutions and pools of one network.

    Attributes:
        norm: normalisation after each convolution, None for none.
        bias: whether convolutions have a bias.
        activation: activation after each convolution, None for none.
        border: padding of the windows of stride 2 and of the stem: `valid` as in Inception-v3 and v4, none; `same`,
            convolutions and pools padded, which fits any image; `ceil` as in GoogLeNet, convolutions padded and the
            output of pools rounded up.
        count_padding: whether average pooling counts the cells of the padding.
    """

    norm: Norm | None = Norm()  # noqa: RUF009 - a frozen value
    bias: bool = False
    activation: str | None = "relu"
    border: str = "same"
    count_padding: bool = False

    def __post_init__(self) -> None:
        check(self.border in BORDERS, f"border must be one of {BORDERS}, got {self.border!r}")

    def conv(self, channels: int, kernel: int | Pair, *, stride: int = 1, groups: int = 1, name: str = "") -> Conv:
        """Return a convolution with `same` padding."""
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (sides[0] // 2, sides[1] // 2)
        steps = (stride, stride)
        return Conv(channels, sides, steps, padding, groups, self.bias, self.norm, self.activation, name=name)

    def edge_conv(self, channels: int, kernel: int | Pair, *, stride: int = 1, name: str = "") -> Conv:
        """Return a convolution with the padding of `border`."""
        padded = self.conv(channels, kernel, stride=stride, name=name)
        return replace(padded, padding=(0, 0), name=name) if self.border == "valid" else padded

    def bare(self, channels: int, kernel: int | Pair, *, groups: int = 1, name: str = "") -> Conv:
        """Return a convolution with bias, without norm and activation."""
        return Units(None, True, None).conv(channels, kernel, groups=groups, name=name)

    def depthwise(self, channels: int, kernel: int | Pair, *, name: str = "") -> Conv:
        """Return a depthwise convolution without norm and activation: the first half of a separable one."""
        return Units(None, self.bias, None).conv(channels, kernel, groups=channels, name=name)

    def pool(self, kind: str, *, name: str = "pool") -> Pool:
        """Return a 3×3 pool of stride 1 that keeps the size."""
        return Pool(kind, (3, 3), (1, 1), (1, 1), count_padding=self.count_padding, name=name)

    def edge_pool(self, kind: str = "max", kernel: int = 3, *, name: str = "pool") -> Pool:
        """Return a pool of stride 2 with the padding of `border`."""
        padding = (kernel // 2, kernel // 2) if self.border == "same" else (0, 0)
        ceil = self.border == "ceil"
        return Pool(kind, (kernel, kernel), (2, 2), padding, ceil=ceil, count_padding=self.count_padding, name=name)
