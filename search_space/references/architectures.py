"""Published networks as architectures, starting points of a search once projected onto its space.

They have the blocks and widths of `REFERENCES`, but the borders and norms of a search, so the shapes of some maps
differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from search_space.architecture import Architecture, Block, Stage, Stem
from search_space.blocks.fields import BlockFields
from search_space.blocks.v1 import V1
from search_space.graph import Shape
from search_space.references import googlenet, inception_v3, inception_v4
from search_space.references import inception_resnet_v2 as resnet
from search_space.references.bn_inception import BLOCKS as BN_BLOCKS

Builder = Callable[[Shape, int], Architecture]


def _blocks(*fields: BlockFields) -> tuple[Block, ...]:
    return tuple(Block(one.NAME, (), tuple(one.settings().items())) for one in fields)


def _stage(fields: list[BlockFields], reduction: str = "none", auxiliary: str = "none") -> Stage:
    """Return a stage of these blocks; a first block that reduces is its grid reduction."""
    if fields[0].REDUCES:
        return Stage(_blocks(*fields[1:]), "block", _blocks(fields[0])[0], auxiliary)
    return Stage(_blocks(*fields), reduction, None, auxiliary)


def _googlenet(side: int) -> Builder:
    def build(shape: Shape, classes: int) -> Architecture:
        blocks: dict[str, list[BlockFields]] = {}
        for name, widths in googlenet.WIDTHS.items():
            blocks.setdefault(name[0], []).append(V1(*widths, side=side))
        stages = (_stage(blocks["3"]), _stage(blocks["4"], "max", "v1"), _stage(blocks["5"], "max"))
        return Architecture(shape, classes, Stem(64, kind="v1"), stages)

    return build


def _bn_inception(shape: Shape, classes: int) -> Architecture:
    fields = list(BN_BLOCKS.values())
    stages = (_stage(fields[:2]), _stage(fields[2:7]), _stage(fields[7:]))
    return Architecture(shape, classes, Stem(64, kind="v1"), stages)


def _inception_v3(shape: Shape, classes: int) -> Architecture:
    fields = list(inception_v3.BLOCKS.values())
    stages = (_stage(fields[:3]), _stage(fields[3:8], auxiliary="v3"), _stage(fields[8:]))
    return Architecture(shape, classes, Stem(32, kind="v3"), stages)


def _inception_v4(shape: Shape, classes: int) -> Architecture:
    fields = list(inception_v4.BLOCKS)
    stages = (_stage(fields[:4]), _stage(fields[4:12]), _stage(fields[12:]))
    return Architecture(shape, classes, Stem(32, kind="v4"), stages)


def _inception_resnet_v2(shape: Shape, classes: int) -> Architecture:
    stages = tuple(_stage([opening, *[block] * depth]) for _, _, opening, depth, block in resnet.STAGES)
    return Architecture(shape, classes, Stem(32, kind="v3"), stages)


ARCHITECTURES: Mapping[str, Builder] = {
    "googlenet": _googlenet(3),
    "googlenet_5x5": _googlenet(5),
    "bn_inception": _bn_inception,
    "inception_v3": _inception_v3,
    "inception_v4": _inception_v4,
    "inception_resnet_v2": _inception_resnet_v2,
}
