"""Lowering of an architecture to its normal form and to its graph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

from search_space.architecture import Architecture, Block, Stage, Stem
from search_space.blocks import SEARCHABLE, family
from search_space.blocks.heads import auxiliary
from search_space.blocks.stems import STEMS
from search_space.blocks.units import Units
from search_space.graph import Dropout, GlobalPool, Graph, Linear, Node, Seq, Shape

UNITS = Units()


def normalise(architecture: Architecture) -> Architecture:
    """Return the architecture without unused choices: absent branches, empty blocks, factorizations without effect."""
    stages = []
    for stage in architecture.stages:
        blocks = (family(block.family).normalise(block) for block in stage.blocks)
        grid = family(stage.grid.family).normalise(stage.grid) if stage.grid else None
        stages.append(replace(stage, blocks=tuple(block for block in blocks if block), grid=grid))
    stem = architecture.stem
    plain = stem if stem.kind == "conv" else Stem(stem.width, kind=stem.kind)
    return replace(architecture, stem=plain, stages=tuple(stages))


@final
@dataclass(frozen=True, slots=True)
class Pooling:
    """Grid reduction by a pool, `max` or `avg`."""

    kind: str


@final
@dataclass(frozen=True, slots=True)
class Auxiliary:
    """Auxiliary classifier of a kind."""

    kind: str
    classes: int


@final
@dataclass(frozen=True, slots=True)
class End:
    """Layers behind all stages: global pooling, dropout, classifier."""

    dropout: float
    classes: int


Piece = Stem | Block | Pooling | Auxiliary | End


def pieces(stage: Stage, classes: int) -> Iterator[tuple[str, Piece]]:
    """Yield the pieces of a stage in order, with their names."""
    if stage.grid is not None:
        yield "reduction", stage.grid
    elif stage.reduction != "none":
        yield "reduction", Pooling(stage.reduction)
    for index, block in enumerate(stage.blocks):
        yield f"block{index}", block
    if stage.auxiliary != "none":
        yield "aux", Auxiliary(stage.auxiliary, classes)


def lower_piece(piece: Piece, shape: Shape, name: str) -> Node:
    """Return the expression of a piece on a map of `shape`."""
    match piece:
        case Block():
            return family(piece.family).lower(piece, shape.channels, name)
        case Pooling(kind=kind):
            return UNITS.edge_pool(kind, name=name)
        case Auxiliary(kind=kind, classes=classes):
            return auxiliary(kind, shape, classes, UNITS, name)
        case Stem(kind="conv"):
            return UNITS.conv(piece.width, piece.kernel, stride=piece.stride, name=name)
        case Stem(kind=kind, width=width):
            return STEMS[kind](width, UNITS)
        case End(dropout=dropout, classes=classes):
            rest = (Dropout(dropout, name="dropout"),) if dropout else ()
            return Seq((GlobalPool(name="pool"), *rest, Linear(classes, name="classifier")), name=name)


def lower(architecture: Architecture) -> Graph:
    """Return the graph of a normalised architecture: stem, stages, global pooling, classifier.

    Raises:
        ShapeError: a node does not fit its input.
    """
    stem = lower_piece(architecture.stem, architecture.input, "stem")
    nodes = [stem]
    shape = stem.output_shape(architecture.input, "stem")
    for index, stage in enumerate(architecture.stages):
        name = f"stage{index}"
        inner: list[Node] = []
        for step, piece in pieces(stage, architecture.classes):
            inner.append(lower_piece(piece, shape, step))
            shape = inner[-1].output_shape(shape, f"{name}.{step}")
        nodes.append(Seq(tuple(inner), name=name))
    end = lower_piece(End(architecture.dropout, architecture.classes), shape, "end")
    end.output_shape(shape)
    return Graph(Seq((*nodes, *end.children)), architecture.input, fits=True)


def summary(architecture: Architecture) -> str:
    """Return one readable line: the stem, then the stages, an arrow for a grid reduction, a bracket a block.

    A branch is its side and width (`5:16`), a reduction to r channels `r→`, one letter for its factorization (s
    stacked, a asymmetric, d depthwise-separable) and `/g` for groups. A block of another family is the family's name
    and the settings; `+v1` and `+v3` are auxiliary classifiers.
    """
    stem = architecture.stem
    head = str(stem.kernel) if stem.kind == "conv" else stem.kind
    words = [f"{head}:{stem.width}" + (f"/{stem.stride}" if stem.stride > 1 else "")]
    for stage in architecture.stages:
        if stage.reduction != "none":
            words.append(f"↓{stage.reduction}" if stage.grid is None else f"↓{_block_summary(stage.grid)}")
        words += [_block_summary(block) for block in stage.blocks]
        if stage.auxiliary != "none":
            words.append(f"+{stage.auxiliary}")
    return " ".join(words)


def _block_summary(block: Block) -> str:
    letters = {"full": "", "stacked": "s", "asymmetric": "a", "separable": "d"}
    searchable = block.family == SEARCHABLE and block.branches
    words = [] if searchable else [block.family, *(f"{name}:{value}" for name, value in block.settings)]
    for branch in block.branches:
        head = branch.name.removeprefix("k") if branch.pool is None else branch.pool
        inner = "" if branch.reduced is None else f"{branch.reduced}→"
        groups = f"/{branch.groups}" if branch.groups > 1 else ""
        words.append(f"{head}{letters[branch.factorization]}:{inner}{branch.width}{groups}")
    return f"[{' '.join(words)}]"
