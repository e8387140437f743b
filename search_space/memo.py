"""Memo of the identity and cost of branches and other pieces, for architectures that share them.

The canonical text and the cost of a branch depend on the branch and on its input's shape alone, and a space has few
different branches: a search that draws new blocks all the time sees the same branches again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, final

from search_space.architecture import Architecture, Block, Branch
from search_space.blocks import SEARCHABLE, inception
from search_space.cost import FLOAT_BYTES, Cost, measure
from search_space.graph import Node, Shape
from search_space.identity import digest, joined, sees_order, side_by_side, text_of
from search_space.lowering import End, Piece, lower_piece, pieces

DEFAULT_CAPACITY = 100_000


class _Measured(NamedTuple):
    """Memoized values of a branch or of another piece, on an input of one shape.

    Attributes:
        output: shape of its output.
        params: its trained parameters.
        macs: its multiply–accumulates for one image.
        peak: largest number of values alive at once while it runs, if nothing reads its input after it.
        peak_kept: the same if its input is read after it.
        sees_order: whether it makes the order of branches matter in the whole network.
        free: its canonical text if the order does not matter.
        ordered: its canonical text if it does.
    """

    output: Shape
    params: int
    macs: int
    peak: int
    peak_kept: int
    sees_order: bool
    free: str
    ordered: str


_At = dict[Branch | Piece, _Measured]


@final
class Memo:
    """Network ids and inference costs, put together from memoized parts.

    Args:
        capacity: number of parts kept, at least 1; the memo is cleared when it is full.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be >= 1, got {capacity}")
        self._capacity = capacity
        self._known: dict[Shape, _At] = {}
        self._count = 0

    def examine(self, architecture: Architecture) -> tuple[str, Cost]:
        """Return network id and inference cost of a normalised architecture, equal to those of its graph.

        Raises:
            ShapeError: a node does not fit its input.
        """
        shape = architecture.input
        sides: list[list[_Measured]] = []
        params = macs = peak = 0
        for piece in pieces_of(architecture):
            known = self._look_up(piece, shape)
            shape, more_params, more_macs, inner = _concatenated(known)
            params, macs, peak = params + more_params, macs + more_macs, max(peak, inner)
            sides.append(known)
        ordered = any(part.sees_order for parts in sides for part in parts)
        text = joined(architecture.input, [_text(parts, ordered) for parts in sides])
        return digest(text), Cost(params, macs, FLOAT_BYTES * peak)

    def _look_up(self, piece: Piece, shape: Shape) -> list[_Measured]:
        """Return the values of each branch of a searchable block, of the whole for any other piece."""
        at = self._known.get(shape)
        if at is None:
            at = self._known[shape] = {}
        if type(piece) is Block and piece.family == SEARCHABLE:
            return [at.get(branch) or self._measure_branch(branch, shape) for branch in piece.branches]
        return [at.get(piece) or self._measure(piece, lower_piece(piece, shape, ""), shape)]

    def _measure_branch(self, branch: Branch, shape: Shape) -> _Measured:
        return self._measure(branch, inception.lower_branch(branch, shape.channels), shape)

    def _measure(self, key: Branch | Piece, node: Node, shape: Shape) -> _Measured:
        if self._count >= self._capacity:
            self._known.clear()
            self._count = 0
        node.output_shape(shape)
        part, kept = measure(node, shape), measure(node, shape, keep=True)
        self._known.setdefault(shape, {})[key] = known = _Measured(
            part.output,
            part.params,
            part.macs,
            part.peak,
            kept.peak,
            sees_order(node, shape),
            text_of(node, ordered=False),
            text_of(node, ordered=True),
        )
        self._count += 1
        return known


def _concatenated(parts: Sequence[_Measured]) -> tuple[Shape, int, int, int]:
    """Return output, parameters, MACs and peak of concatenated branches, none of which passes its input on.

    The input is kept until the last branch runs; the outputs of all are held while they are joined.
    """
    if len(parts) == 1:
        return parts[0][:4]
    channels = params = macs = held = peak = 0
    for output, more_params, more_macs, _, kept, *_ in parts:
        channels, params, macs = channels + output[0], params + more_params, macs + more_macs
        before, peak_before = held, peak
        peak = max(peak, held + kept)
        held += output[0] * output[1] * output[2]
    peak = max(peak_before, before + parts[-1].peak, 2 * held)
    return Shape(channels, output[1], output[2]), params, macs, peak


def _text(parts: Sequence[_Measured], ordered: bool) -> str:
    texts = [part.ordered for part in parts] if ordered else [part.free for part in parts]
    return texts[0] if len(texts) == 1 else side_by_side(texts, ordered=ordered)


def pieces_of(architecture: Architecture) -> Iterator[Piece]:
    """Yield the pieces of an architecture in execution order, from the stem to the classifier."""
    yield architecture.stem
    for stage in architecture.stages:
        yield from (piece for _, piece in pieces(stage, architecture.classes))
    yield End(architecture.dropout, architecture.classes)
