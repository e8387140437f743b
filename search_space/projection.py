"""Projection of an architecture onto a space, by which published networks become starting points of a search."""

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
    """Result of a projection.

    Attributes:
        architecture: the projected architecture, normalised.
        distance: mean over the choices made: |log2 (1 + option) / (1 + target)| of a number, 1 for a word that differs
            from its target or a choice without a target, 0 for an option equal to its target.
        multiplier: factor of the widths.
    """

    architecture: Architecture
    distance: float
    multiplier: float


def project(space: Space, architecture: Architecture, multiplier: float | None = None) -> Projection:
    """Return the architecture of a space that is nearest to another one, choice by choice.

    Stages and blocks are matched by their relative position, widths scaled, and each choice takes the option nearest to
    its target, the setting at that position. A block whose family is not offered is translated into the searchable
    family.

    Args:
        space: the space, with its own input and classes.
        architecture: the architecture to project.
        multiplier: factor of all widths, positive; None for the one of 1, 1/√2, ... 1/64 with the least distance.
    """
    tried = (_project(space, architecture, m) for m in (MULTIPLIERS if multiplier is None else (multiplier,)))
    return min(tried, key=lambda projection: projection.distance)


def _project(space: Space, architecture: Architecture, multiplier: float) -> Projection:
    stem = architecture.stem
    targets: dict[str, Value] = {
        "stem.kind": stem.kind,
        "stem.width": stem.width * multiplier,
        "stem.kernel": stem.kernel,
        "stem.stride": stem.stride,
    }
    for index, domain in enumerate(space.stages):
        stage = architecture.stages[_position(index, len(space.stages), len(architecture.stages))]
        _add_stage(targets, stage, domain, f"stage{index}", multiplier)
    chooser = _Nearest(targets)
    found = space.sample(chooser)
    return Projection(found, sum(chooser.distances) / max(1, len(chooser.distances)), multiplier)


def _position(index: int, count: int, other: int) -> int:
    """Return the relative position of one of `count` among `other`.

    >>> [_position(index, 2, 5) for index in range(2)]
    [0, 4]
    """
    return 0 if count == 1 else round(index * (other - 1) / (count - 1))


def _add_stage(targets: dict[str, Value], stage: Stage, domain: StageDomain, path: str, multiplier: float) -> None:
    targets[f"{path}.reduction"] = stage.reduction if stage.reduction in domain.reduction.options else "max"
    targets[f"{path}.auxiliary"] = stage.auxiliary
    targets[f"{path}.depth"] = len(stage.blocks)
    if stage.grid is not None:
        _add_block(targets, stage.grid, f"{path}.grid", multiplier)
    depth = _nearest(len(stage.blocks), domain.depth.options)
    for index in range(depth if stage.blocks else 0):
        block = stage.blocks[_position(index, depth, len(stage.blocks))]
        _add_block(targets, block, f"{path}.block{index}", multiplier)


def searchable(block: Block) -> Block | None:
    """Return the nearest block of the searchable family, None if none is near (residual and depthwise blocks)."""
    branches = family(block.family).branches(block)
    return None if branches is None else Block(SEARCHABLE, branches)


def _add_block(targets: dict[str, Value], block: Block, path: str, multiplier: float) -> None:
    """Add the targets of a block, for a place that offers its family, several families, or the searchable one."""
    targets[f"{path}.family"] = block.family
    for one in (searchable(block) or Block(SEARCHABLE), block):
        for name, value in family(one.family).targets(one, multiplier).items():
            targets[f"{path}.{name}"] = targets[f"{path}.{one.family}.{name}"] = value


def _distance(value: float, target: float) -> float:
    return abs(math.log2((1 + value) / (1 + target)))


def _nearest(target: float, options: tuple[int, ...]) -> int:
    return min(options, key=lambda option: _distance(option, target))


@final
class _Nearest:
    """Chooser that takes the option nearest to its target, and notes the distance."""

    def __init__(self, targets: Mapping[str, Value]) -> None:
        self._targets = targets
        self.distances: list[float] = []

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """Return the option of the nearest ratio, the first if there is no target."""
        target = self._targets.get(path)
        if target is None or isinstance(target, str):
            self.distances.append(1.0)
            return options[0]
        best = _nearest(target, options)
        self.distances.append(_distance(best, target))
        return best

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        """Return the target, else the nearest number, else the searchable family, else the first option."""
        target = self._targets.get(path)
        if target in options:
            self.distances.append(0.0)
            return options[options.index(target)]
        numbers = [option for option in options if not isinstance(option, str)]
        if numbers and target is not None and not isinstance(target, str):
            best = min(numbers, key=lambda option: _distance(option, target))
            self.distances.append(_distance(best, target))
            return best
        self.distances.append(1.0)
        return SEARCHABLE if SEARCHABLE in options else options[0]
