"""From an architecture to its normal form and to its graph."""

from __future__ import annotations

from dataclasses import replace

from search_space.architecture import Architecture, Stage
from search_space.blocks import family
from search_space.graph import Conv, Dropout, GlobalPool, Graph, Linear, Node, Norm, Pool, Seq, Shape


def normalise(architecture: Architecture) -> Architecture:
    """The architecture with unused choices gone: absent branches, empty blocks, factorizations that change nothing."""
    stages = []
    for stage in architecture.stages:
        blocks = (family(block.family).normalise(block) for block in stage.blocks)
        stages.append(Stage(tuple(block for block in blocks if block), stage.reduction))
    return replace(architecture, stages=tuple(stages))


def lower(architecture: Architecture) -> Graph:
    """The network of a normalised architecture: stem, stages, global pooling, classifier.

    Raises:
        ShapeError: a node does not fit its input.
    """
    stem = architecture.stem
    nodes: list[Node] = [
        Conv(
            stem.width,
            (stem.kernel, stem.kernel),
            (stem.stride, stem.stride),
            (stem.kernel // 2, stem.kernel // 2),
            norm=Norm(),
            activation="relu",
            name="stem",
        )
    ]
    shape = nodes[0].output_shape(architecture.input)
    for index, stage in enumerate(architecture.stages):
        nodes.append(_lower_stage(stage, shape, f"stage{index}"))
        shape = nodes[-1].output_shape(shape, f"stage{index}")
    nodes.append(GlobalPool(name="pool"))
    if architecture.dropout:
        nodes.append(Dropout(architecture.dropout, name="dropout"))
    nodes.append(Linear(architecture.classes, name="classifier"))
    return Graph(Seq(tuple(nodes)), architecture.input)


def _lower_stage(stage: Stage, shape: Shape, name: str) -> Node:
    nodes: list[Node] = []
    if stage.reduction != "none":
        pool = Pool(stage.reduction, (3, 3), (2, 2), (1, 1), count_padding=False, name="reduction")
        nodes.append(pool)
        shape = pool.output_shape(shape, f"{name}.reduction")
    for index, block in enumerate(stage.blocks):
        nodes.append(family(block.family).lower(block, shape.channels, f"block{index}"))
        shape = nodes[-1].output_shape(shape, f"{name}.block{index}")
    return Seq(tuple(nodes), name=name)


def summary(architecture: Architecture) -> str:
    """One readable line: stem, then the stages, an arrow for a grid reduction, a bracket a block.

    A branch is its side and width (`5:16`), a reduction to r channels `r→`, and one letter for its factorization: s
    stacked, a asymmetric, d depthwise-separable.
    """
    stem = architecture.stem
    words = [f"{stem.kernel}:{stem.width}" + (f"/{stem.stride}" if stem.stride > 1 else "")]
    letters = {"full": "", "stacked": "s", "asymmetric": "a", "separable": "d"}
    for stage in architecture.stages:
        if stage.reduction != "none":
            words.append(f"↓{stage.reduction}")
        for block in stage.blocks:
            branches = []
            for branch in block.branches:
                head = branch.name.removeprefix("k") if branch.pool is None else branch.pool
                inner = "" if branch.reduced is None else f"{branch.reduced}→"
                branches.append(f"{head}{letters[branch.factorization]}:{inner}{branch.width}")
            words.append(f"[{' '.join(branches)}]")
    return " ".join(words)
