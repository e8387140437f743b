"""GoogLeNet, the first Inception network (Szegedy et al. 2015, Going Deeper with Convolutions, table 1).

Four forms: torchvision's, the paper's with and without batch norm, and one for small images.
"""

from __future__ import annotations

from search_space.blocks.heads import auxiliary
from search_space.blocks.stems import stem_v1
from search_space.blocks.units import Units
from search_space.blocks.v1 import V1
from search_space.graph import Dropout, GlobalPool, Graph, Linear, Node, Norm, Pool, Seq, Shape
from search_space.references.layout import Rename, chain, each
from search_space.references.widths import scaled

INPUT, SMALL = Shape(3, 224, 224), Shape(3, 32, 32)
WIDTHS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
TAPS = {"4a": "aux1", "4d": "aux2"}

LAYOUT: tuple[Rename, ...] = (
    *each((1, 2, 3), ("conv*", "stem.conv*")),
    *each(
        WIDTHS,
        ("inception*.branch1", "inception*.k1"),
        *chain("inception*.branch2", "inception*.k3", ("reduce", "conv")),
        *chain("inception*.branch3", "inception*.k5", ("reduce", "conv")),
        ("inception*.branch4.1", "inception*.pool.project"),
    ),
    *each(
        TAPS.values(),
        ("*.conv", "*.head.conv"),
        ("*.fc1", "*.head.hidden.0"),
        ("*.fc2", "*.head.classifier"),
    ),
    ("fc", "classifier"),
)


def googlenet(
    input_shape: Shape = INPUT, classes: int = 1000, *, auxiliaries: bool = True, width: float = 1.0
) -> Graph:
    """Return GoogLeNet in torchvision's form: 3×3 where the paper has 5×5, batch norm, no biases, no LRN.

    Args:
        input_shape: shape of one image, at least 15 pixels a side (31 in the paper's forms).
        classes: number of logits.
        auxiliaries: whether the network has its two auxiliary classifiers.
        width: multiplier of every width but those of auxiliary classifiers, in (0, 1].
    """
    units = Units(Norm(eps=1e-3), border="ceil")
    nodes = _body(units, stem_v1(scaled(64, width), units), 3, _last_pool(), width)
    return _finish(nodes, units, 0.2, input_shape, classes, auxiliaries)


def googlenet_5x5(input_shape: Shape = INPUT, classes: int = 1000, *, auxiliaries: bool = True) -> Graph:
    """Return GoogLeNet with the paper's 5×5, and batch norm instead of biases and LRN; arguments as of `googlenet`."""
    units = Units(Norm(eps=1e-3), border="ceil")
    nodes = _body(units, stem_v1(64, units), 5, units.edge_pool(name="pool4"))
    return _finish(nodes, units, 0.4, input_shape, classes, auxiliaries)


def googlenet_paper(input_shape: Shape = INPUT, classes: int = 1000, *, auxiliaries: bool = True) -> Graph:
    """Return GoogLeNet as in the paper: 5×5, biases, local response normalization; arguments as of `googlenet`."""
    units = Units(None, True, border="ceil")
    nodes = _body(units, stem_v1(64, units, lrn=True), 5, units.edge_pool(name="pool4"))
    return _finish(nodes, units, 0.4, input_shape, classes, auxiliaries)


def googlenet_small(input_shape: Shape = SMALL, classes: int = 10, *, width: float = 1.0) -> Graph:
    """Return GoogLeNet for small images, without auxiliary classifiers.

    In place of the stem, which divides the sides by 8, it has a 3×3 convolution of stride 1 and as many channels, 192,
    as is usual for CIFAR. The rest is of torchvision's form.

    Args:
        input_shape: shape of one image, at least 2 pixels a side.
        classes: number of logits.
        width: multiplier of every width, in (0, 1].
    """
    units = Units(Norm(eps=1e-3), border="ceil")
    nodes = _body(units, units.conv(scaled(192, width), 3, name="stem"), 3, _last_pool(), width)
    return _finish(nodes, units, 0.2, input_shape, classes, auxiliaries=False)


def _last_pool() -> Pool:
    """Return the fourth pool in torchvision's form, of 2×2."""
    return Pool("max", (2, 2), (2, 2), ceil=True, name="pool4")


def _body(units: Units, stem: Node, side: int, last_pool: Node, width: float = 1.0) -> list[Node]:
    """Return the stem, the nine blocks and the pools between them."""
    nodes: list[Node] = [stem]
    for block, widths in WIDTHS.items():
        if block == "4a":
            nodes.append(units.edge_pool(name="pool3"))
        if block == "5a":
            nodes.append(last_pool)
        k1, k3_reduce, k3, k5_reduce, k5, pool = (scaled(channels, width) for channels in widths)
        fields = V1(k1, k3_reduce, k3, k5_reduce, k5, pool, side)
        nodes.append(fields.lower(0, units, f"inception{block}"))
    return nodes


def _finish(
    nodes: list[Node], units: Units, dropout: float, input_shape: Shape, classes: int, auxiliaries: bool
) -> Graph:
    """Return the network with auxiliary classifiers behind 4a and 4d, mean, dropout and classifier added."""
    whole: list[Node] = []
    shape = input_shape
    for node in nodes:
        whole.append(node)
        shape = node.output_shape(shape, node.name)
        tap = TAPS.get(node.name.removeprefix("inception"))
        if tap and auxiliaries:
            whole.append(auxiliary("v1", shape, classes, units, tap))
    end = (GlobalPool(name="mean"), Dropout(dropout, name="dropout"), Linear(classes, name="classifier"))
    return Graph(Seq((*whole, *end)), input_shape)
