"""Progressive resizing: the size of the training images in an epoch (Howard 2018, DAWNBench; Tan and Le 2021).

Small images cost little, and the first epochs learn what they show as well; the last third has images in full.
"""

from __future__ import annotations

from dataclasses import dataclass

from nas.config.training import Recipe

STEPS = 8
"""Sizes are eighths of the side: few, as a GPU looks for the fastest algorithms, or captures a graph, for each."""

RISE = 2 / 3
"""Share of the epochs over which images grow."""


@dataclass(frozen=True)
class Resizing:
    """Growth of the training images.

    Attributes:
        start: share of the side in the first epoch, in (0, 1).
        epochs: epochs of a full training.

    >>> [Resizing(0.5, 12).side(32, epoch) for epoch in range(12)]
    [16, 16, 20, 24, 24, 24, 28, 32, 32, 32, 32, 32]
    """

    start: float
    epochs: int

    @classmethod
    def of(cls, recipe: Recipe) -> Resizing | None:
        """Return the growth that a recipe asks for, None for none."""
        start = recipe.progressive_resize
        return None if start is None else cls(start, recipe.epochs)

    def side(self, side: int, epoch: int) -> int:
        """Return the side of the images in an epoch, 0-based, for a side in full; at least a pixel."""
        share = self.start + (1 - self.start) * min(1.0, epoch / (RISE * self.epochs))
        return max(1, round(side * max(1, round(STEPS * share)) / STEPS))

    def size(self, size: tuple[int, int], epoch: int) -> tuple[int, int]:
        """Return height and width in an epoch."""
        return self.side(size[0], epoch), self.side(size[1], epoch)
