"""Identity and cost of architectures that share blocks: each block is lowered and measured once.

What a block adds to its network's canonical text and cost depends on nothing but the block and its input's shape. A
search that mutates, or that draws from few kinds of block, meets the same ones over and over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from search_space.architecture import Architecture
from search_space.cost import FLOAT_BYTES, Cost, Part, measure
from search_space.graph import Shape
from search_space.identity import Fragment, digest, fragment, joined
from search_space.lowering import End, Piece, lower_piece, pieces

DEFAULT_CAPACITY = 100_000


@final
class Memo:
    """Network ids and inference costs, by way of what is known of the pieces.

    Args:
        capacity: pieces kept, at least 1; once there are as many, the memory starts anew.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be >= 1, got {capacity}")
        self._capacity = capacity
        self._known: dict[tuple[Piece, Shape], tuple[Fragment, Part]] = {}

    def examine(self, architecture: Architecture) -> tuple[str, Cost]:
        """Network id and inference cost of a normalised architecture, as of its graph.

        Raises:
            ShapeError: a node does not fit its input.
        """
        shape = architecture.input
        fragments: list[Fragment] = []
        params = macs = peak = 0
        for piece in _pieces(architecture):
            text, part = self._look_up(piece, shape)
            fragments.append(text)
            params, macs, peak = params + part.params, macs + part.macs, max(peak, part.peak)
            shape = part.output
        return digest(joined(architecture.input, fragments)), Cost(params, macs, FLOAT_BYTES * peak)

    def _look_up(self, piece: Piece, shape: Shape) -> tuple[Fragment, Part]:
        key = (piece, shape)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= self._capacity:
                self._known.clear()
            node = lower_piece(piece, shape, "")
            node.output_shape(shape)
            known = self._known[key] = (fragment(node, shape), measure(node, shape))
        return known


def _pieces(architecture: Architecture) -> Iterator[Piece]:
    yield architecture.stem
    for stage in architecture.stages:
        yield from (piece for _, piece in pieces(stage, architecture.classes))
    yield End(architecture.dropout, architecture.classes)
