"""Block family: a 1×1 convolution that narrows, then a 3×3."""

from dataclasses import dataclass

from search_space.blocks import BlockFields, Units, family_of, width
from search_space.graph import Node, Seq


@dataclass(frozen=True, slots=True)
class Bottleneck(BlockFields):
    """Choices of one block; each field is one choice of a space."""

    NAME = "bottleneck.FAMILY"
    reduce: int = width()
    out: int = width()

    def lower(self, channels: int, units: Units, name: str) -> Node:
        """Return the block as an expression of the algebra."""
        return Seq((units.conv(self.reduce, 1, name="reduce"), units.conv(self.out, 3, name="conv")), name=name)


FAMILY = family_of(Bottleneck)
