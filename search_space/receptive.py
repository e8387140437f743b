"""How much of the image one cell of a feature map sees: another fold over the graph."""

from __future__ import annotations

from search_space.graph import Concat, Conv, Graph, Node, Pair, Pool, Residual, Seq


def receptive_field(graph: Graph) -> Pair:
    """Height and width, in pixels of the input, that one cell of the last feature map sees.

    Branches are taken together: the field is as high as that of the highest and as wide as that of the widest. What
    sees the whole map (global pooling, dense layers) counts as nothing, so the field is that of the features before
    it; it may be larger than the image.

    >>> from search_space.graph import Shape, conv
    >>> receptive_field(Graph(Seq((conv(8, 3), conv(8, (1, 3)))), Shape(3, 32, 32)))
    (3, 5)
    """
    return _field(graph.root, (1, 1), (1, 1))[0]


def _field(node: Node, field: Pair, jump: Pair) -> tuple[Pair, Pair]:
    """Field and distance between neighbouring cells behind a node, from those in front of it."""
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
