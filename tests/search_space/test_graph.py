from __future__ import annotations

from collections.abc import Callable

import pytest

from search_space.graph import (
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
    Seq,
    Shape,
    ShapeError,
    Tap,
    child_path,
    conv,
    walk,
)

INPUT = Shape(3, 8, 8)


def test_seq_chains_shapes_and_none_at_all_is_the_identity() -> None:
    assert Seq(()).output_shape(INPUT) == INPUT
    assert Seq((conv(4, 3, stride=2), Pool("max", (2, 2), (2, 2)))).output_shape(INPUT) == Shape(4, 2, 2)


def test_concat_adds_channels() -> None:
    assert Concat((conv(4, 1), conv(5, 3), Identity())).output_shape(INPUT) == Shape(12, 8, 8)


def test_residual_keeps_the_bodys_shape() -> None:
    assert Residual(conv(3, 3)).output_shape(INPUT) == INPUT
    assert Residual(conv(5, 3, stride=2), conv(5, 1, stride=2)).output_shape(INPUT) == Shape(5, 4, 4)


def test_tap_passes_its_input_on() -> None:
    assert Tap(Linear(10), 0.3).output_shape(INPUT) == INPUT
    assert Tap(Linear(10), 0.0).output_shape(INPUT) == INPUT


@pytest.mark.parametrize(
    ("make", "law"),
    [
        (lambda: Concat(()), "a concatenation needs at least one branch, got none"),
        (lambda: Residual(Identity(), activation="elu"), "activation must be one of"),
        (lambda: Tap(Identity(), -0.1), r"weight of an auxiliary loss must be >= 0, got -0\.1"),
        (lambda: Tap(Identity(), float("nan")), "weight of an auxiliary loss must be >= 0, got nan"),
        (lambda: Seq((conv(1, 1, name="a"), Identity(name="a"))), r"names of siblings must differ, got \['a', 'a'\]"),
        (lambda: Concat((conv(1, 1, name="a"), Identity(name="a"))), "names of siblings must differ"),
        (lambda: Seq((Identity(name="a.b"),)), r"a name must be an ASCII identifier and no keyword, got 'a\.b'"),
        (lambda: Seq((Identity(name="0"),)), "a name must be an ASCII identifier and no keyword, got '0'"),
        (lambda: Seq((Identity(name="class"),)), "a name must be an ASCII identifier and no keyword, got 'class'"),
        (lambda: Concat((Identity(name="é"),)), "a name must be an ASCII identifier and no keyword, got 'é'"),
        (lambda: conv(4, 2), "kernel must be odd, got 2"),
        (lambda: conv(4, (3, 4)), r"kernel must be odd, got \(3, 4\)"),
        (lambda: conv(4, (4, 3)), r"kernel must be odd, got \(4, 3\)"),
        (lambda: Graph(Identity(), Shape(3, 0, 8)), "an input needs at least one channel, row and column, got 3×0×8"),
    ],
)
def test_an_expression_that_breaks_a_law_cannot_be_made(make: Callable[[], object], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        make()


def nested(leaf: Node) -> Node:
    """Return an expression with `leaf` at stage1.block0.k5."""
    block = Concat((conv(2, 1, name="k1"), leaf), name="block0")
    return Seq((conv(3, 3, name="stem"), Seq((block,), name="stage1")))


def test_errors_name_the_path() -> None:
    with pytest.raises(ShapeError, match=r"kernel must fit .* at stage1\.block0\.k5$"):
        Graph(nested(Conv(4, (9, 9), name="k5")), INPUT)
    with pytest.raises(ShapeError, match=r"kernel must fit .* at stage1\.block0\.k5\.1$"):
        Graph(nested(Seq((Identity(), Conv(4, (9, 9))), name="k5")), INPUT)
    with pytest.raises(ShapeError, match=r"agree in height and width, got 2×8×8 and 4×7×7 at stage1\.block0\.k5$"):
        Graph(nested(Conv(4, (2, 2), name="k5")), INPUT)
    with pytest.raises(ShapeError, match=r"body and shortcut of one shape, got 4×8×8 and 3×8×8 at stage1\.block0\.k5$"):
        Graph(nested(Residual(conv(4, 3), name="k5")), INPUT)
    with pytest.raises(ShapeError, match=r"kernel must fit .* at stage1\.block0\.k5\.body$"):
        Graph(nested(Residual(Conv(3, (9, 9), name="other"), name="k5")), INPUT)
    with pytest.raises(ShapeError, match=r"kernel must fit .* at stage1\.block0\.k5\.shortcut$"):
        Graph(nested(Residual(Identity(), Conv(3, (9, 9)), name="k5")), INPUT)
    with pytest.raises(ShapeError, match=r"kernel must fit .* at stage1\.block0\.k5\.head$"):
        Graph(nested(Tap(Conv(3, (9, 9)), 0.3, name="k5")), INPUT)
    wide = Conv(4, (9, 9))
    with pytest.raises(ShapeError, match=r"kernel must fit .* at 0$"):
        Graph(Concat((wide, Identity())), INPUT)
    with pytest.raises(ShapeError, match=r"kernel must fit .* at 1$"):
        Graph(Concat((Identity(), wide)), INPUT)
    with pytest.raises(ShapeError, match=r"agree in height and width, got 3×8×8 and 4×7×7 at 1$"):
        Graph(Concat((Identity(), Conv(4, (2, 2)))), INPUT)
    for kernel, size in (((1, 2), "8×7"), ((2, 1), "7×8")):
        with pytest.raises(ShapeError, match=rf"agree in height and width, got 3×8×8 and 4×{size} at 1$"):
            Graph(Concat((Identity(), Conv(4, kernel))), INPUT)
    with pytest.raises(ShapeError, match=r"over 3×8×8$"):
        Graph(Conv(3, (9, 9)), INPUT)


def test_child_path() -> None:
    assert child_path("", Identity(), 2) == "2"
    assert child_path("stage1", Identity(name="pool"), 2) == "stage1.pool"


def test_walk_meets_every_leaf_in_execution_order() -> None:
    head = Seq((GlobalPool(name="pool"), Linear(10, name="fc")))
    root = Seq(
        (
            conv(4, 3, name="stem"),
            Tap(head, 0.3, name="aux"),
            Concat((Seq((conv(2, 1), conv(5, 3))), Pool("max", (3, 3), padding=(1, 1), name="pool")), name="block"),
            Residual(Seq((Norm(), Activation())), Dropout(0.1)),
            Seq(()),
            Linear(10),
        )
    )
    graph = Graph(root, INPUT)
    paths = ["stem", "block.0.0", "block.0.1", "block.pool", "3.body.0", "3.body.1", "3.shortcut", "5"]
    assert [visit.path for visit in walk(graph)] == paths
    trained = [visit.path for visit in walk(graph, taps=True)]
    assert trained == ["stem", "aux.head.pool", "aux.head.fc", *paths[1:]]
    visits = {visit.path: visit for visit in walk(graph, taps=True)}
    assert visits["block.0.1"].input == Shape(2, 8, 8)
    assert visits["block.0.1"].output == Shape(5, 8, 8)
    assert visits["block.pool"].input == Shape(4, 8, 8)
    assert visits["aux.head.fc"].input == Shape(4, 1, 1)
    assert visits["5"].input == Shape(9, 8, 8)
    assert graph.output == Shape(10, 1, 1)


def test_conv_is_same_padded_normed_and_rectified() -> None:
    assert conv(8, (1, 7)) == Conv(8, (1, 7), (1, 1), (0, 3), norm=Norm(), activation="relu")
    assert conv(8, 3, stride=2, groups=2, activation=None).output_shape(Shape(4, 9, 9)) == Shape(8, 5, 5)
