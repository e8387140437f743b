"""Predictions for architectures of a search, put together from memoized parts.

A search sees the same branches again and again; what one adds to the latency depends on it and its input alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, final

import numpy as np

from nas.objectives.latency.model import Floats, LatencyModel, Prediction
from nas.objectives.latency.operators import Operator, operators_of
from search_space.architecture import Architecture, Block, Branch
from search_space.blocks import SEARCHABLE, inception
from search_space.graph import Graph, Node, Shape
from search_space.lowering import Piece, lower_piece
from search_space.memo import DEFAULT_CAPACITY, pieces_of


class _Part(NamedTuple):
    """Part of a network on an input of one shape.

    Attributes:
        output: shape of its output.
        milliseconds: what its operators add to the latency.
        features: sums (kinds, features) over its operators.
    """

    output: Shape
    milliseconds: float
    features: Floats


@final
class Predictor:
    """Predictor of one model, which remembers parts of networks.

    Args:
        model: the model.
        capacity: number of parts kept; all are forgotten when that many are.
    """

    def __init__(self, model: LatencyModel, capacity: int = DEFAULT_CAPACITY) -> None:
        self.model = model
        self._capacity = capacity
        self._known: dict[tuple[Branch | Piece | Operator, Shape], _Part] = {}

    def predict(self, architecture: Architecture) -> Prediction:
        """Return the prediction for a normalised architecture, equal to that for its graph."""
        shape = architecture.input
        milliseconds, features = self.model.fixed, self.model.no_features()
        for piece in pieces_of(architecture):
            for part in self._parts(piece, shape):
                milliseconds += part.milliseconds
                features += part.features
                output = part.output
            shape = output
        return self.model.judged(architecture.input, features, milliseconds)

    def _parts(self, piece: Piece, shape: Shape) -> Iterable[_Part]:
        """Return the parts of a piece; the last one has the piece's output."""
        if not (type(piece) is Block and piece.family == SEARCHABLE):
            return [self._known.get((piece, shape)) or self._piece(piece, shape)]
        parts = [self._known.get((branch, shape)) or self._branch(branch, shape) for branch in piece.branches]
        if len(parts) > 1:
            joined = Shape(sum(part.output.channels for part in parts), *parts[0].output[1:])
            concat = Operator("concat", len(parts), joined)
            parts.append(self._known.get((concat, joined)) or self._kept(concat, joined, joined, [concat]))
        return parts

    def _branch(self, branch: Branch, shape: Shape) -> _Part:
        return self._node(branch, inception.lower_branch(branch, shape.channels), shape)

    def _piece(self, piece: Piece, shape: Shape) -> _Part:
        return self._node(piece, lower_piece(piece, shape, ""), shape)

    def _node(self, key: Branch | Piece, node: Node, shape: Shape) -> _Part:
        return self._kept(key, shape, node.output_shape(shape), operators_of(Graph(node, shape)))

    def _kept(self, key: Branch | Piece | Operator, shape: Shape, output: Shape, operators: list[Operator]) -> _Part:
        if len(self._known) >= self._capacity:
            self._known.clear()
        milliseconds, features = self.model.total(operators)
        self._known[key, shape] = part = _Part(output, milliseconds, np.asarray(features))
        return part
