"""Configuration of pruning: weights or channels to remove from a trained network; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from nas.config.ranges import Inside, Range, ShareBelowOne, check_fields, show

GLOBAL, LAYER, TWO_OF_FOUR, CHANNELS, BRANCHES = "global", "layer", "2:4", "channels", "branches"
SMALLER = (CHANNELS, BRANCHES)
"""Structures whose removal leaves a smaller dense network."""
STRUCTURES = (GLOBAL, LAYER, TWO_OF_FOUR, *SMALLER)
HALF = 0.5


@dataclass(frozen=True)
class PruningSpec:
    """Pruning of a trained network by magnitude, and the training after it.

    Attributes:
        structure: `global`, the smallest weights of all convolutions and dense layers together; `layer`, the same share
            of each; `2:4`, two of every four; `channels` or `branches`, which leave a smaller dense network.
        sparsity: share of those weights, or with `channels` and `branches` of all parameters, that goes, in (0, 1);
            null for 0.8, and for 0.5 with `2:4`, `channels` and `branches`.
        max_loss: largest loss of validation accuracy, in [0, 1): the largest of a few sparsities within it is taken;
            null to take `sparsity`.
        epochs: epochs of training after the removal, at least 0; zeros stay zero.
        learning_rate: peak learning rate of that training over the study's, positive.

    Raises:
        ValueError: a value out of range, or settings that exclude one another.
    """

    structure: str = GLOBAL
    sparsity: Inside | None = None
    max_loss: ShareBelowOne | None = None
    epochs: Annotated[int, Range(0, 100_000)] = 4
    learning_rate: Annotated[float, Range(0, 1000, above=True)] = 0.3

    def __post_init__(self) -> None:
        check_fields(self, "sparse")
        if self.structure not in STRUCTURES:
            raise ValueError(f"sparse.structure must be one of {', '.join(STRUCTURES)}, got {show(self.structure)}")
        if self.sparsity is not None and self.max_loss is not None:
            raise ValueError("sparse.sparsity follows from sparse.max_loss, both were given")
        if self.structure == TWO_OF_FOUR and self.sparsity not in (None, HALF):
            raise ValueError(f"sparse.sparsity must be 0.5 with sparse.structure=2:4, got {self.sparsity}")

    @property
    def smaller(self) -> bool:
        """True if a smaller dense network is left, False if the weights of the same network become zero."""
        return self.structure in SMALLER

    @property
    def share(self) -> float:
        """Share to remove where no loss is given."""
        usual = 0.8 if self.structure in (GLOBAL, LAYER) else HALF
        return usual if self.sparsity is None else self.sparsity
