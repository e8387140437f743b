"""Receptive field of a network, a fold over its graph."""

from __future__ import annotations

from search_space.graph import Concat, Conv, Graph, Node, Pair, Pool, Residual, Seq


def receptive_field(graph: Graph) -> Pair:
    """Return height and width of the receptive field of one cell of the last feature map, in pixels of the input.

    The field of parallel branches is as high as the highest and as wide as the widest. Layers over the whole map
    (global pooling, dense layers) are left out, so the field is that of the features before them; it may be larger
    than the image.

    >>> from search_space.graph import Shape, conv
    >>> receptive_field(Graph(Seq((conv(8, 3), conv(8, (1, 3)))), Shape(3, 32, 32)))
    (3, 5)
    """
    return _field(graph.root, (1, 1), (1, 1))[0]


def _field(node: Node, field: Pair, jump: Pair) -> tuple[Pair, Pair]:
    """Return field and distance between neighbouring cells behind a node, from those in front of it."""
    match node:
        case Seq():
            for child in node.nodes:
                field, jump = _field(child, field, jump)
            return field, jump
        case Concat() | Residual():
            sides = [_field(child, field, jump) for child in node.children]
            rows, columns = zip(*(side for side, _ in sides), strict=True)
            return (max(rows), max(columns)), sides[0][1]
        case Conv(kernel=kernel, stride=stride) | Pool(kernel=kernel, stride=stride):
            grown = (field[0] + (kernel[0] - 1) * jump[0], field[1] + (kernel[1] - 1) * jump[1])
            return grown, (jump[0] * stride[0], jump[1] * stride[1])
    return field, jump
