"""From any architecture to the nearest one of a space: how a published network enters a search."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from search_space.architecture import Architecture, Block, Stage
from search_space.blocks import SEARCHABLE, family
from search_space.choices import Value
from search_space.domains import StageDomain
from search_space.space import Space

MULTIPLIERS = tuple(2.0 ** (-step / 2) for step in range(13))  # 1 down to 1/64


@final
@dataclass(frozen=True)
class Projection:
    """An architecture of a space, and how far it is from what was projected.

    Attributes:
        architecture: the projected architecture, normalised.
        distance: mean over the choices that were asked for: |log2| of the ratio of two numbers plus 1, or 1 where a
            word differs or nothing was wished; 0 where the space offers exactly what was wished.
        multiplier: what the widths were multiplied by.
    """

    architecture: Architecture
    distance: float
    multiplier: float


def project(space: Space, architecture: Architecture, multiplier: float | None = None) -> Projection:
    """The architecture of a space that follows another one choice by choice.

    Stages and blocks are matched by their relative place, widths scaled, and each choice takes the option nearest to
    what stands in that place. A block whose family is not offered is translated into the searchable family.

    Args:
        space: the space; its input and classes are taken.
        architecture: what to come near to.
        multiplier: of all widths, positive; None for the one of 1, 1/√2, ... 1/64 that comes nearest.
    """
    tried = (_project(space, architecture, m) for m in (MULTIPLIERS if multiplier is None else (multiplier,)))
    return min(tried, key=lambda projection: projection.distance)


def _project(space: Space, architecture: Architecture, multiplier: float) -> Projection:
    stem = architecture.stem
    wishes: dict[str, Value] = {
        "stem.kind": stem.kind,
        "stem.width": stem.width * multiplier,
        "stem.kernel": stem.kernel,
        "stem.stride": stem.stride,
    }
    for index, domain in enumerate(space.stages):
        stage = architecture.stages[_place(index, len(space.stages), len(architecture.stages))]
        _wish_stage(wishes, stage, domain, f"stage{index}", multiplier)
    chooser = _Nearest(wishes)
    found = space.sample(chooser)
    return Projection(found, sum(chooser.distances) / max(1, len(chooser.distances)), multiplier)


def _place(index: int, count: int, other: int) -> int:
    """The relative place of one of `count` among `other`.

    >>> [_place(index, 2, 5) for index in range(2)]
    [0, 4]
    """
    return 0 if count == 1 else round(index * (other - 1) / (count - 1))


def _wish_stage(wishes: dict[str, Value], stage: Stage, domain: StageDomain, path: str, multiplier: float) -> None:
    wishes[f"{path}.reduction"] = stage.reduction if stage.reduction in domain.reduction.options else "max"
    wishes[f"{path}.auxiliary"] = stage.auxiliary
    wishes[f"{path}.depth"] = len(stage.blocks)
    if stage.grid is not None:
        _wish_block(wishes, stage.grid, f"{path}.grid", multiplier)
    depth = _nearest(len(stage.blocks), domain.depth.options)
    for index in range(depth if stage.blocks else 0):
        block = stage.blocks[_place(index, depth, len(stage.blocks))]
        _wish_block(wishes, block, f"{path}.block{index}", multiplier)


def searchable(block: Block) -> Block | None:
    """Return the nearest block of the searchable family, None if none is near (residual and depthwise blocks)."""
    branches = family(block.family).branches(block)
    return None if branches is None else Block(SEARCHABLE, branches)


def _wish_block(wishes: dict[str, Value], block: Block, path: str, multiplier: float) -> None:
    """Add the targets of a block, for a place that offers its family, several families, or the searchable one."""
    wishes[f"{path}.family"] = block.family
    for one in (searchable(block) or Block(SEARCHABLE), block):
        for name, value in family(one.family).targets(one, multiplier).items():
            wishes[f"{path}.{name}"] = wishes[f"{path}.{one.family}.{name}"] = value


def _far(value: float, wish: float) -> float:
    return abs(math.log2((1 + value) / (1 + wish)))


def _nearest(wish: float, options: tuple[int, ...]) -> int:
    return min(options, key=lambda option: _far(option, wish))


@final
class _Nearest:
    """A chooser that takes the option nearest to what is wished, and notes how far it is."""

    def __init__(self, wishes: Mapping[str, Value]) -> None:
        self._wishes = wishes
        self.distances: list[float] = []

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """The nearest option by ratio; the first where nothing is wished."""
        wish = self._wishes.get(path)
        if wish is None or isinstance(wish, str):
            self.distances.append(1.0)
            return options[0]
        best = _nearest(wish, options)
        self.distances.append(_far(best, wish))
        return best

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        """What is wished; else the nearest number; else the first option, a translated block's family before it."""
        wish = self._wishes.get(path)
        if wish in options:
            self.distances.append(0.0)
            return options[options.index(wish)]
        numbers = [option for option in options if not isinstance(option, str)]
        if numbers and wish is not None and not isinstance(wish, str):
            best = min(numbers, key=lambda option: _far(option, wish))
            self.distances.append(_far(best, wish))
            return best
        self.distances.append(1.0)
        return SEARCHABLE if SEARCHABLE in options else options[0]
