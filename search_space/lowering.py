"""From an architecture to its normal form and to its graph."""

from __future__ import annotations

from dataclasses import replace

from search_space.architecture import Architecture, Block, Stage, Stem
from search_space.blocks import family
from search_space.blocks.heads import auxiliary
from search_space.blocks.stems import STEMS
from search_space.blocks.units import Units
from search_space.graph import Dropout, GlobalPool, Graph, Linear, Node, Seq, Shape

UNITS = Units()


def normalise(architecture: Architecture) -> Architecture:
    """The architecture with unused choices gone: absent branches, empty blocks, factorizations that change nothing."""
    stages = []
    for stage in architecture.stages:
        blocks = (family(block.family).normalise(block) for block in stage.blocks)
        grid = family(stage.grid.family).normalise(stage.grid) if stage.grid else None
        stages.append(replace(stage, blocks=tuple(block for block in blocks if block), grid=grid))
    stem = architecture.stem
    plain = stem if stem.kind == "conv" else Stem(stem.width, kind=stem.kind)
    return replace(architecture, stem=plain, stages=tuple(stages))


def lower(architecture: Architecture) -> Graph:
    """The network of a normalised architecture: stem, stages, global pooling, classifier.

    Raises:
        ShapeError: a node does not fit its input.
    """
    nodes: list[Node] = [_lower_stem(architecture.stem)]
    shape = nodes[0].output_shape(architecture.input, "stem")
    for index, stage in enumerate(architecture.stages):
        node, shape = _lower_stage(stage, shape, architecture.classes, f"stage{index}")
        nodes.append(node)
    nodes.append(GlobalPool(name="pool"))
    if architecture.dropout:
        nodes.append(Dropout(architecture.dropout, name="dropout"))
    nodes.append(Linear(architecture.classes, name="classifier"))
    return Graph(Seq(tuple(nodes)), architecture.input)


def _lower_stem(stem: Stem) -> Node:
    if stem.kind == "conv":
        return UNITS.conv(stem.width, stem.kernel, stride=stem.stride, name="stem")
    return STEMS[stem.kind](stem.width, UNITS)


def _lower_stage(stage: Stage, shape: Shape, classes: int, name: str) -> tuple[Node, Shape]:
    """The stage on a map of `shape`, and the shape of what it makes of it."""
    nodes: list[Node] = []
    if stage.grid is not None:
        nodes.append(family(stage.grid.family).lower(stage.grid, shape.channels, "reduction"))
        shape = nodes[-1].output_shape(shape, f"{name}.reduction")
    elif stage.reduction != "none":
        nodes.append(UNITS.edge_pool(stage.reduction, name="reduction"))
        shape = nodes[-1].output_shape(shape, f"{name}.reduction")
    for index, block in enumerate(stage.blocks):
        nodes.append(family(block.family).lower(block, shape.channels, f"block{index}"))
        shape = nodes[-1].output_shape(shape, f"{name}.block{index}")
    if stage.auxiliary != "none":
        nodes.append(auxiliary(stage.auxiliary, shape, classes, UNITS))
    return Seq(tuple(nodes), name=name), shape


def summary(architecture: Architecture) -> str:
    """One readable line: stem, then the stages, an arrow for a grid reduction, a bracket a block.

    A branch is its side and width (`5:16`), a reduction to r channels `r→`, one letter for its factorization (s
    stacked, a asymmetric, d depthwise-separable) and `/g` for groups. A block of the literature is its family's name
    and its settings; `+v1` and `+v3` are auxiliary classifiers.
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
    if not block.branches:
        return f"[{' '.join((block.family, *(f'{name}:{value}' for name, value in block.settings)))}]"
    branches = []
    for branch in block.branches:
        head = branch.name.removeprefix("k") if branch.pool is None else branch.pool
        inner = "" if branch.reduced is None else f"{branch.reduced}→"
        groups = f"/{branch.groups}" if branch.groups > 1 else ""
        branches.append(f"{head}{letters[branch.factorization]}:{inner}{branch.width}{groups}")
    return f"[{' '.join(branches)}]"
