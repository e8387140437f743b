from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import nn

from search_space.graph import (
    LRN,
    Activation,
    Conv,
    Dropout,
    GlobalPool,
    Identity,
    Linear,
    Node,
    Norm,
    Pool,
    Scale,
    Shape,
    ShapeError,
    Slice,
)

BROKEN: list[tuple[Callable[[], Node], str]] = [
    (lambda: Norm("group"), r"norm must be one of \('batch', 'layer'\), got 'group'"),
    (lambda: Norm(eps=0.0), r"norm eps must be positive, got 0\.0"),
    (lambda: Activation("tanh"), r"activation must be one of \('relu', 'relu6', 'gelu'\), got 'tanh'"),
    (lambda: Conv(0, (1, 1)), "channels must be an integer >= 1, got 0"),
    (lambda: Conv(1.5, (1, 1)), r"channels must be an integer >= 1, got 1\.5"),
    (lambda: Conv(4, (0, 1)), r"kernel must be two integers >= 1, got \(0, 1\)"),
    (lambda: Conv(4, 3), "kernel must be two integers >= 1, got 3"),
    (lambda: Conv(4, (3, 3, 3)), "kernel must be two integers >= 1"),
    (lambda: Conv(4, (1, 1), (0, 1)), r"stride must be two integers >= 1, got \(0, 1\)"),
    (lambda: Conv(4, (1, 1), padding=(-1, 0)), r"padding must be two integers >= 0, got \(-1, 0\)"),
    (lambda: Conv(4, (1, 1), groups=0), "groups must be an integer >= 1, got 0"),
    (lambda: Conv(4, (1, 1), groups=3), "groups must divide the output channels, got 3 groups and 4 channels"),
    (lambda: Conv(4, (1, 1), activation="elu"), "activation must be one of"),
    (lambda: Pool("median", (3, 3)), r"pool must be one of \('max', 'avg'\), got 'median'"),
    (lambda: Pool("max", (3, 0)), "kernel must be two integers >= 1"),
    (lambda: Pool("max", (3, 3), (1, 0)), "stride must be two integers >= 1"),
    (lambda: Pool("max", (3, 3), padding=(-1, 1)), "padding must be two integers >= 0"),
    (lambda: Pool("max", (3, 3), padding=(1, 2)), r"at most half its kernel, got \(1, 2\) for \(3, 3\)"),
    (lambda: GlobalPool("sum"), "pool must be one of"),
    (lambda: GlobalPool(size=(0, 1)), "size must be two integers >= 1"),
    (lambda: Slice(2, 2), "a slice needs integers 0 <= start < stop, got 2 and 2"),
    (lambda: Slice(-1, 2), "a slice needs integers 0 <= start < stop, got -1 and 2"),
    (lambda: Slice(0.5, 2), "a slice needs integers"),
    (lambda: Scale(float("inf")), "a scale must be finite, got inf"),
    (lambda: Scale(float("nan")), "a scale must be finite, got nan"),
    (lambda: LRN(0), "size must be an integer >= 1, got 0"),
    (lambda: LRN(k=0.0), r"constant k of the local response normalization must be positive, got 0\.0"),
    (lambda: Dropout(1.0), r"dropout rate must lie in \[0, 1\), got 1\.0"),
    (lambda: Dropout(-0.1), r"dropout rate must lie in \[0, 1\)"),
    (lambda: Dropout(float("nan")), r"dropout rate must lie in \[0, 1\), got nan"),
    (lambda: Linear(0), "features must be an integer >= 1, got 0"),
    (lambda: Linear(3, activation="swish"), "activation must be one of"),
]


@pytest.mark.parametrize(("make", "law"), BROKEN)
def test_a_leaf_that_breaks_a_law_cannot_be_made(make: Callable[[], Node], law: str) -> None:
    with pytest.raises(ValueError, match=law):
        make()


@pytest.mark.parametrize(
    ("leaf", "shape", "law"),
    [
        (Conv(4, (5, 5)), Shape(3, 4, 9), r"kernel must fit into the padded input, got \(5, 5\) over 3×4×9 at a\.b"),
        (Conv(4, (1, 1), groups=2), Shape(3, 4, 4), r"divide the input channels, got 2 groups, 3 channels at a\.b"),
        (Pool("max", (3, 3)), Shape(3, 4, 2), r"window must fit into the padded input, .* over 3×4×2 at a\.b"),
        (Slice(1, 4), Shape(3, 4, 4), r"a slice must end within its input, got stop 4 of 3 channels at a\.b"),
    ],
)
def test_a_leaf_that_does_not_fit_names_its_path(leaf: Node, shape: Shape, law: str) -> None:
    with pytest.raises(ShapeError, match=law):
        leaf.output_shape(shape, "a.b")


def torch_shape(module: nn.Module, shape: Shape) -> tuple[int, ...] | None:
    """Return the output shape of torch's module, None if it refuses the input."""
    try:
        with torch.device("meta"):
            return tuple(module(torch.empty(1, *shape)).shape[1:])
    except RuntimeError:
        return None


def our_shape(leaf: Node, shape: Shape) -> tuple[int, ...] | None:
    try:
        return tuple(leaf.output_shape(shape))
    except ShapeError:
        return None


EXTENTS = range(1, 10)
SWEEPS = [(k, s, p) for k, s, p in itertools.product(range(1, 6), range(1, 5), range(3)) if 2 * p <= k]


@pytest.mark.parametrize("sweep", [*SWEEPS, (1, 2, 3), (3, 1, 4)])
def test_conv_shape_is_torchs(sweep: tuple[int, int, int]) -> None:
    k, s, p = sweep
    module = nn.Conv2d(2, 3, (k, 2), (s, 1), (p, 1), device="meta")
    leaf = Conv(3, (k, 2), (s, 1), (p, 1), bias=True)
    for extent in EXTENTS:
        assert our_shape(leaf, Shape(2, extent, 5)) == torch_shape(module, Shape(2, extent, 5))


@pytest.mark.parametrize("kind", ["max", "avg"])
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("sweep", SWEEPS)
def test_pool_shape_is_torchs(sweep: tuple[int, int, int], ceil: bool, kind: str) -> None:
    k, s, p = sweep
    module = (nn.MaxPool2d if kind == "max" else nn.AvgPool2d)((2, k), (2, s), (1, p), ceil_mode=ceil)
    leaf = Pool(kind, (2, k), (2, s), (1, p), ceil)
    for extent in EXTENTS:
        assert our_shape(leaf, Shape(2, 5, extent)) == torch_shape(module, Shape(2, 5, extent))


@pytest.mark.parametrize(
    ("leaf", "shape"),
    [
        (GlobalPool("max", (2, 3)), Shape(4, 2, 3)),
        (Slice(1, 3), Shape(2, 5, 6)),
        (Linear(7), Shape(7, 1, 1)),
        (Norm(), Shape(4, 5, 6)),
        (Activation(), Shape(4, 5, 6)),
        (Scale(2.0), Shape(4, 5, 6)),
        (LRN(), Shape(4, 5, 6)),
        (Dropout(0.5), Shape(4, 5, 6)),
        (Identity(), Shape(4, 5, 6)),
    ],
)
def test_shape_of_other_leaves(leaf: Node, shape: Shape) -> None:
    assert leaf.output_shape(Shape(4, 5, 6)) == shape


def test_names_are_no_part_of_equality() -> None:
    assert Conv(4, (1, 1), name="a") == Conv(4, (1, 1), name="b")
    assert hash(Conv(4, (1, 1), name="a")) == hash(Conv(4, (1, 1)))
    assert Conv(4, (1, 1)) != Conv(5, (1, 1))


def test_leaves_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Conv(4, (1, 1)).channels = 5
