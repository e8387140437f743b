from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import pytest

from search_space.drawing import draw
from search_space.graph import (
    LRN,
    Activation,
    Concat,
    Conv,
    Dropout,
    GlobalPool,
    Graph,
    Identity,
    Linear,
    Node,
    Norm,
    Pool,
    Residual,
    Scale,
    Seq,
    Shape,
    Slice,
    Tap,
    conv,
    walk,
)
from search_space.lowering import lower
from search_space.space import parse_space
from search_space.svg import amount, text_width

NAMESPACE = "{http://www.w3.org/2000/svg}"
Extent = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass
class Seen:
    """Elements of a drawing, in absolute coordinates."""

    boxes: list[tuple[str, Extent]] = field(default_factory=list)
    texts: list[tuple[str, Extent]] = field(default_factory=list)
    edges: list[list[tuple[float, float]]] = field(default_factory=list)

    def of(self, *kinds: str) -> list[Extent]:
        return [extent for kind, extent in self.boxes if kind in kinds]


def look(svg: str) -> Seen:
    root = ElementTree.fromstring(svg)
    seen = Seen()
    _look(root, 0.0, 0.0, seen)
    return seen


def _look(element: ElementTree.Element, x: float, y: float, seen: Seen) -> None:
    move = re.fullmatch(r"translate\((\S+) (\S+)\)", element.get("transform", "translate(0 0)"))
    assert move
    x, y = x + float(move[1]), y + float(move[2])

    def get(name: str) -> float:
        return float(element.get(name, "nan"))

    match element.tag.removeprefix(NAMESPACE):
        case "rect":
            left, top = x + get("x"), y + get("y")
            extent = (left, top, left + get("width"), top + get("height"))
            seen.boxes.append((element.get("class", ""), extent))
        case "circle":
            radius = get("r")
            across, down = x + get("cx"), y + get("cy")
            seen.boxes.append(("join", (across - radius, down - radius, across + radius, down + radius)))
        case "text":
            size, label = get("font-size"), element.text or ""
            width = text_width(label, size)
            shift = {"start": 0.0, "middle": width / 2, "end": width}[element.get("text-anchor", "start")]
            left, base = x + get("x") - shift, y + get("y")
            seen.texts.append((label, (left, base - 0.75 * size, left + width, base + 0.2 * size)))
        case "path":
            seen.edges.append([(x + across, y + down) for across, down in _trace(element.get("d", ""))])
    for child in element:
        _look(child, x, y, seen)


def _trace(commands: str) -> list[tuple[float, float]]:
    """Return points along a path of M, H, V, C and Q commands."""
    points: list[tuple[float, float]] = []
    for letter, arguments in re.findall(r"([MHVCQ])([^MHVCQ]*)", commands):
        values = [float(value) for value in arguments.split()]
        if letter == "M":
            points.append((values[0], values[1]))
            continue
        x, y = points[-1]
        if letter == "H":
            values = [values[0], y]
        if letter == "V":
            values = [x, values[0]]
        controls = [(x, y), *zip(values[::2], values[1::2], strict=True)]
        points += [_bezier(controls, step / 50) for step in range(1, 51)]
    return points


def _bezier(controls: list[Any], t: float) -> tuple[float, float]:
    while len(controls) > 1:
        controls = [((1 - t) * a[0] + t * b[0], (1 - t) * a[1] + t * b[1]) for a, b in itertools.pairwise(controls)]
    return controls[0]


def overlap(a: Extent, b: Extent, slack: float = 0.2) -> bool:
    return min(a[2], b[2]) - max(a[0], b[0]) > slack and min(a[3], b[3]) - max(a[1], b[1]) > slack


def within(inner: Extent, outer: Extent, slack: float = 0.2) -> bool:
    return (
        inner[0] >= outer[0] - slack
        and inner[1] >= outer[1] - slack
        and inner[2] <= outer[2] + slack
        and inner[3] <= outer[3] + slack
    )


def wide_and_deep() -> Iterator[Graph]:
    fan = Concat(tuple(conv(4, 1, name=f"branch_with_a_long_name_{i}") for i in range(20)), name="block")
    yield Graph(Seq((*[conv(3, 3)] * 60, fan, Linear(1000))), Shape(3, 64, 64))
    nest: Any = conv(4, 3)
    for depth in range(8):
        nest = Residual(Concat((nest, conv(2, 1))), conv(6 + 2 * depth, 1), "relu", name="nested")
    yield Graph(nest, Shape(3, 8, 8))
    yield Graph(Seq(()), Shape(3, 8, 8))
    yield Graph(Concat((Seq(()), Tap(Linear(3), 0.3))), Shape(3, 8, 8))


@pytest.fixture(scope="module")
def pictures(make_graph: Callable[..., Graph], quick_mapping: dict[str, Any]) -> list[tuple[Graph, Seen]]:
    space = parse_space(quick_mapping, Shape(3, 16, 16), 10)
    graphs = [lower(space.draw(random.Random(seed))) for seed in range(15)]
    graphs += [make_graph(seed) for seed in range(60)]
    return [(graph, look(draw(graph, "a title"))) for graph in (*graphs, *wide_and_deep())]


def test_every_leaf_is_one_box_with_its_label_inside(pictures: list[tuple[Graph, Seen]]) -> None:
    for graph, seen in pictures:
        leaves = seen.of("leaf")
        assert len(leaves) == len(list(walk(graph, taps=True)))
        for leaf in leaves:
            inside = [label for label, extent in seen.texts if overlap(extent, leaf)]
            assert 1 <= len(inside) <= 2  # the label, and perhaps a line of remarks
            assert all(within(extent, leaf) for _, extent in seen.texts if overlap(extent, leaf))


def test_no_boxes_overlap(pictures: list[tuple[Graph, Seen]]) -> None:
    for _, seen in pictures:
        solid = seen.of("leaf", "pill", "join", "legend", "share")
        assert not any(overlap(a, b) for a, b in itertools.combinations(solid, 2))
        for frame in seen.of("frame"):
            others = [*solid, *(other for other in seen.of("frame") if other != frame)]
            assert all(within(box, frame) or within(frame, box) for box in others if overlap(box, frame))


def test_no_texts_overlap(pictures: list[tuple[Graph, Seen]]) -> None:
    for _, seen in pictures:
        for (_, a), (_, b) in itertools.combinations(seen.texts, 2):
            assert not overlap(a, b)


def test_no_edge_passes_behind_a_box_or_through_a_label(pictures: list[tuple[Graph, Seen]]) -> None:
    for _, seen in pictures:
        solid = seen.of("leaf", "pill", "join") + [extent for _, extent in seen.texts]
        for points in seen.edges:
            left, top = min(x for x, _ in points), min(y for _, y in points)
            right, bottom = max(x for x, _ in points), max(y for _, y in points)
            near = [box for box in solid if overlap((left - 1, top - 1, right + 1, bottom + 1), box)]
            for box in near:
                assert not any(box[0] + 0.5 < x < box[2] - 0.5 and box[1] + 0.5 < y < box[3] - 0.5 for x, y in points)


def test_everything_stands_on_the_paper(pictures: list[tuple[Graph, Seen]]) -> None:
    for _, seen in pictures:
        (paper,) = seen.of("paper")
        assert all(within(extent, paper) for _, extent in (*seen.boxes, *seen.texts))
        assert all(paper[0] <= x <= paper[2] and paper[1] <= y <= paper[3] for points in seen.edges for x, y in points)


def labels(graph: Graph, **options: Any) -> list[str]:
    return [label for label, _ in look(draw(graph, **options)).texts]


def test_labels_say_what_there_is() -> None:
    branch = Seq((conv(4, 1), Conv(4, (3, 3), padding=(1, 1), groups=4), conv(16, 1)), name="k3")
    block = Concat((conv(8, 1, name="k1"), Seq((conv(6, 1), conv(24, (1, 5))), name="k5"), branch), name="block0")
    root = Seq((conv(8, 3, stride=2, name="stem"), Seq((block,), name="stage0"), Linear(10, name="classifier")))
    found = labels(Graph(root, Shape(3, 16, 16)), title="trial 17")
    for label in ("trial 17", "image 3×16×16", "3×3 conv · 8", "/2", "stage0", "block0", "48×8×8", "k3", "k5"):
        assert label in found
    for label in ("1×1 conv · 8", "1×1 reduce · 6", "1×5 conv · 24", "3×3 depthwise · 4", "1×1 pointwise · 16"):
        assert label in found
    for label in ("concat · 48", "dense · 10", "stage0.block0", "classifier"):
        assert label in found


@pytest.mark.parametrize(
    ("leaf", "remark"),
    [
        (Conv(4, (1, 1), bias=True), "bias, no norm, no ReLU"),
        (Conv(4, (3, 3), (2, 1), norm=Norm("layer"), activation="gelu"), "/2×1, layer norm, GELU"),
        (Conv(4, (1, 1), groups=2, norm=Norm()), "2 groups, no ReLU"),
        (Conv(4, (1, 1), norm=Norm(), activation="relu6"), "ReLU6"),
        (Conv(4, (1, 1), groups=4, norm=Norm(), activation="relu"), "batch norm, ReLU"),
        (Pool("max", (3, 3), (2, 2)), "/2"),
        (Linear(4, activation="relu"), "ReLU"),
    ],
)
def test_remarks_say_what_is_unusual(leaf: Node, remark: str) -> None:
    assert remark in labels(Graph(leaf, Shape(4, 5, 5)))


@pytest.mark.parametrize(
    ("leaf", "label"),
    [
        (Slice(1, 2), "channel 1"),
        (Slice(1, 3), "channels 1 to 2"),
        (GlobalPool(), "global avg pool"),
        (GlobalPool("max", (2, 2)), "max pool to 2×2"),
        (Scale(0.1, learned=True), "scale learned × 0.1"),
        (LRN(), "local norm over 5"),
        (Dropout(0.5), "dropout 0.5"),
        (Norm("layer"), "layer norm"),
        (Activation("gelu"), "GELU"),
        (Identity(), "identity"),
    ],
)
def test_labels_of_other_leaves(leaf: Node, label: str) -> None:
    assert label in labels(Graph(leaf, Shape(4, 5, 5)))


def test_costs_stand_beside_their_block_unless_left_out() -> None:
    graph = Graph(Seq((conv(100, 3, name="stem"), Linear(10, name="classifier"))), Shape(3, 10, 10))
    found = labels(graph)
    assert {"stem", "2.90 k", "270 k", "classifier", "100 k"} <= set(found)
    assert "stem" not in labels(graph, costs=False)


def test_text_is_escaped() -> None:
    graph = Graph(conv(4, 3, name="<script>alert(1)</script>"), Shape(3, 8, 8))
    title = "<script>alert('x')</script> & \"quotes\" \x00\ud800"
    svg = draw(graph, title)
    assert "<script" not in svg
    tags = {element.tag.removeprefix(NAMESPACE) for element in ElementTree.fromstring(svg).iter()}
    assert tags <= {"svg", "g", "rect", "path", "polygon", "circle", "text", "title"}
    assert title[:-2] + "\ufffd\ufffd" in labels(graph, title=title)
    framed = Graph(Concat((conv(4, 3),), name="</text><script>"), Shape(3, 8, 8))
    assert "</text><script>" in labels(framed)


def test_pictures_are_self_contained_and_deterministic(make_graph: Callable[..., Graph]) -> None:
    for seed in range(10):
        svg = draw(make_graph(seed), "title")
        assert svg == draw(make_graph(seed), "title")
        assert "href" not in svg
        assert " id=" not in svg
        assert svg.count("http") == 1  # the name of the SVG language


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00 k"),
        (9_994, "9.99 k"),
        (9_996, "10.0 k"),
        (99_960, "100 k"),
        (999_600, "1.00 M"),
        (1_498_376_192, "1.50 G"),
    ],
)
def test_amounts_have_three_digits(count: int, words: str) -> None:
    assert amount(count) == words
