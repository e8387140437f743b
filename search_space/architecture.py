"""Architectures, the choices that describe a network: Architecture > Stage > Block > Branch.

They are frozen values with a JSON form and an identity; `lowering.py` turns one into a graph. JSON documents leave out
fields that have their default, so that a field added later changes no identity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from search_space.graph import POOLS, Shape
from search_space.identity import canonical_json, digest
from search_space.limits import (
    DEEPEST,
    LONGEST_NAME,
    MOST_BRANCHES,
    MOST_CHANNELS,
    MOST_CLASSES,
    MOST_PIXELS,
    MOST_STAGES,
    WIDEST,
    shown,
)

FACTORIZATIONS = ("full", "stacked", "asymmetric", "separable")
REDUCTIONS = ("none", "max", "avg")
GRID = "block"
STAGE_REDUCTIONS = (*REDUCTIONS, GRID)
STEMS = ("conv", "v1", "v3", "v4", "time")
AUXILIARIES = ("none", "v1", "v3")


def _check(law: bool, message: str) -> None:
    if not law:
        raise ValueError(message)


def _check_integer(value: object, least: int, most: int, name: str, place: str) -> None:
    """Raise ValueError unless a value is an integer from `least` to `most`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not (whole and value >= least):  # type: ignore[operator]  # an integer by now
        raise ValueError(f"{name} must be an integer >= {least}, got {shown(value)}{place}")
    if value > most:  # type: ignore[operator]
        raise ValueError(f"{name} must be an integer <= {most}, got {shown(value)}{place}")


def _check_count(count: int, most: int, things: str) -> None:
    if count > most:
        raise ValueError(f"there must be at most {most} {things}, got {count}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_NAME


def _is_setting(value: object) -> bool:
    return _is_word(value) or (_is_number(value) and abs(value) <= MOST_CHANNELS)  # type: ignore[arg-type]


@final
@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of a block.

    Attributes:
        name: `k1`, `k3`, `k5`, `k7` for a convolution of that side, `pool` for pooling and a 1×1 projection.
        width: output channels, at least 0; a branch of width 0 is absent.
        reduction: channels of the 1×1 convolution in front, as a share of `width` in (0, 1]; None for none.
        factorization: form of an n×n convolution: `full`; `stacked`, a chain of 3×3 with the same receptive
            field; `asymmetric`, 1×n then n×1; `separable`, depthwise then pointwise.
        pool: `max` or `avg` for a pool branch, None for any other.
        groups: groups of the spatial convolutions (structured sparsity), at least 1; if it does not divide the
            channels, their greatest common divisor.
    """

    name: str
    width: int
    reduction: float | None = None
    factorization: str = "full"
    pool: str | None = None
    groups: int = 1

    def __post_init__(self) -> None:
        _check(_is_word(self.name), "name of a branch must be a word")
        if self.pool is not None and self.pool not in POOLS:
            raise ValueError(f"pool must be one of {POOLS}, got {shown(self.pool)} at {self.name}")
        _check_integer(self.width, 0, MOST_CHANNELS, "width", f" at {self.name}")
        _check_integer(self.groups, 1, MOST_CHANNELS, "groups", f" at {self.name}")
        if self.reduction is not None and not (_is_number(self.reduction) and 0 < self.reduction <= 1):
            raise ValueError(f"reduction must be none or lie in (0, 1], got {shown(self.reduction)} at {self.name}")
        if self.factorization not in FACTORIZATIONS:
            raise ValueError(
                f"factorization must be one of {FACTORIZATIONS}, got {shown(self.factorization)} at {self.name}"
            )

    @property
    def reduced(self) -> int | None:
        """Channels of the 1×1 convolution in front: the share of `width`, halves rounded up, at least 1.

        >>> Branch("k5", 24, reduction=0.25).reduced
        6
        """
        return None if self.reduction is None else max(1, math.floor(self.reduction * self.width + 0.5))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without the fields that have their default."""
        document: dict[str, Any] = {"name": self.name, "width": self.width}
        if self.reduction is not None:
            document["reduction"] = float(self.reduction)
        if self.factorization != "full":
            document["factorization"] = self.factorization
        if self.pool is not None:
            document["pool"] = self.pool
        if self.groups != 1:
            document["groups"] = self.groups
        return document


@final
@dataclass(frozen=True, slots=True)
class Block:
    """Parallel branches on one input, or a block of the literature with its settings.

    Attributes:
        family: name of the block family, one of `search_space.blocks.families()` or a dotted path.
        branches: the branches; none for a family that has settings.
        settings: values of the fields of such a family, without those that have their default.
    """

    family: str
    branches: tuple[Branch, ...] = ()
    settings: tuple[tuple[str, int | float | str], ...] = ()

    def __post_init__(self) -> None:
        if not _is_word(self.family):
            raise ValueError(f"family of a block must be a word, got {shown(self.family)}")
        _check_count(len(self.branches), MOST_BRANCHES, "branches of a block")
        _check_count(len(self.settings), MOST_BRANCHES, "settings of a block")
        for name, value in self.settings:
            if not _is_setting(value):
                law = f"a setting must be a number or a word, up to {MOST_CHANNELS} or {LONGEST_NAME} characters"
                raise ValueError(f"{law}, got {shown(value)} at {self.family}.{str(name)[:LONGEST_NAME]}")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object, with either branches or settings."""
        if self.settings:
            return {"family": self.family, "settings": dict(self.settings)}
        return {"family": self.family, "branches": [branch.to_json() for branch in self.branches]}


@final
@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks at one resolution.

    Attributes:
        blocks: the blocks in order.
        reduction: grid reduction in front of them: `none`, 3×3 pooling with stride 2 by `max` or `avg`, or `block`.
        grid: the block that reduces, if `reduction` is `block`.
        auxiliary: auxiliary classifier behind them: `none`, or GoogLeNet's (`v1`) or Inception-v3's (`v3`).
    """

    blocks: tuple[Block, ...]
    reduction: str = "none"
    grid: Block | None = None
    auxiliary: str = "none"

    def __post_init__(self) -> None:
        _check_count(len(self.blocks), DEEPEST, "blocks of a stage")
        if self.reduction not in STAGE_REDUCTIONS:
            raise ValueError(f"reduction of a stage must be one of {STAGE_REDUCTIONS}, got {shown(self.reduction)}")
        if (self.grid is not None) != (self.reduction == GRID):
            law = f"a stage has a grid block exactly where its reduction is {GRID!r}"
            raise ValueError(f"{law}, got {shown(self.reduction)} and {shown(self.grid)}")
        if self.auxiliary not in AUXILIARIES:
            law = f"auxiliary classifier of a stage must be one of {AUXILIARIES}"
            raise ValueError(f"{law}, got {shown(self.auxiliary)}")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without the fields that have their default."""
        document: dict[str, Any] = {"blocks": [block.to_json() for block in self.blocks]}
        if self.reduction != "none":
            document["reduction"] = self.reduction
        if self.grid is not None:
            document["grid"] = self.grid.to_json()
        if self.auxiliary != "none":
            document["auxiliary"] = self.auxiliary
        return document


@final
@dataclass(frozen=True, slots=True)
class Stem:
    """Layers in front of all stages: one convolution, or the stem of a published network.

    Attributes:
        width: output channels, at least 1; in a published stem those of its first convolution.
        kernel: odd side of the filters of the one convolution.
        stride: its stride, at least 1.
        kind: `conv` for one convolution; `v1`, `v3`, `v4` for a published stem and `time` for that of signals,
            which have no kernel and stride.
    """

    width: int
    kernel: int = 3
    stride: int = 1
    kind: str = "conv"

    def __post_init__(self) -> None:
        _check_integer(self.width, 1, MOST_CHANNELS, "width", " at stem")
        if isinstance(self.kernel, bool) or not isinstance(self.kernel, int) or self.kernel % 2 != 1:
            raise ValueError(f"kernel must be odd, got {shown(self.kernel)} at stem")
        _check_integer(self.kernel, 1, WIDEST, "kernel", " at stem")
        _check_integer(self.stride, 1, WIDEST, "stride", " at stem")
        if self.kind not in STEMS:
            raise ValueError(f"kind must be one of {STEMS}, got {shown(self.kind)} at stem")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        if self.kind != "conv":
            return {"width": self.width, "kind": self.kind}
        return {"width": self.width, "kernel": self.kernel, "stride": self.stride}


@final
@dataclass(frozen=True)
class Architecture:
    """All choices of one network, for images of one shape and a number of classes.

    Attributes:
        input: shape of one image.
        classes: number of logits, at least 2.
        stem: the layers in front of the stages.
        stages: the stages in order.
        dropout: rate of the dropout before the classifier, in [0, 1).
    """

    input: Shape
    classes: int
    stem: Stem
    stages: tuple[Stage, ...]
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for extent in self.input:
            _check_integer(extent, 1, MOST_PIXELS, "every extent of input", f" of {shown(list(self.input))}")
        _check_integer(self.classes, 2, MOST_CLASSES, "classes", "")
        if not (_is_number(self.dropout) and 0 <= self.dropout < 1):
            raise ValueError(f"dropout must lie in [0, 1), got {shown(self.dropout)}")
        _check_count(len(self.stages), MOST_STAGES, "stages")

    @cached_property
    def id(self) -> str:
        """Hash of the JSON form: the architecture's identity, if it is normalised as those of a space are."""
        return digest(canonical_json(self.to_json()))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without the fields that have their default."""
        document: dict[str, Any] = {
            "input": list(self.input),
            "classes": self.classes,
            "stem": self.stem.to_json(),
            "stages": [stage.to_json() for stage in self.stages],
        }
        if self.dropout:
            document["dropout"] = float(self.dropout)
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Architecture:
        """Return the architecture that `to_json` wrote.

        Raises:
            ValueError: a field is missing, unknown or out of range; the message names its path.
        """
        fields = _fields(document, "architecture", {"input", "classes", "stem", "stages"}, {"dropout"})
        extents = _list(fields["input"], "input")
        _check(len(extents) == 3, f"input must be [channels, height, width], got {shown(extents)}")
        return cls(
            Shape(*extents),
            fields["classes"],
            Stem(**_fields(fields["stem"], "stem", {"width"}, {"kernel", "stride", "kind"})),
            tuple(_stage(stage, f"stage{index}") for index, stage in enumerate(_list(fields["stages"], "stages"))),
            fields.get("dropout", 0.0),
        )


def _fields(document: object, path: str, needed: set[str], optional: set[str]) -> Mapping[str, Any]:
    return _known(_object(document, path), path, needed, optional)


def _object(document: object, path: str) -> Mapping[str, Any]:
    if isinstance(document, Mapping):
        return document
    raise ValueError(f"a JSON object must stand at {path}, got {shown(document)}")


def _list(document: object, path: str) -> list[Any]:
    if isinstance(document, list):
        return document
    raise ValueError(f"a JSON list must stand at {path}, got {shown(document)}")


def _known(document: Mapping[str, Any], path: str, needed: set[str], optional: set[str]) -> Mapping[str, Any]:
    if missing := needed - document.keys():
        raise ValueError(f"{path} must have {sorted(needed)}, lacks {sorted(missing)}")
    if unknown := document.keys() - needed - optional:
        also = shown(sorted(map(str, unknown)))
        raise ValueError(f"{path} may have {sorted(needed | optional)}, got also {also}")
    return document


def _stage(document: object, path: str) -> Stage:
    fields = _fields(document, path, {"blocks"}, {"reduction", "grid", "auxiliary"})
    documents = _list(fields["blocks"], f"{path}.blocks")
    blocks = tuple(_block(block, f"{path}.block{index}") for index, block in enumerate(documents))
    grid = _block(fields["grid"], f"{path}.grid") if "grid" in fields else None
    return Stage(blocks, fields.get("reduction", "none"), grid, fields.get("auxiliary", "none"))


def _block(document: object, path: str) -> Block:
    fields = _fields(document, path, {"family"}, {"branches", "settings"})
    _check(len(fields) == 2, f"{path} must have either branches or settings, got {sorted(fields)}")
    if "branches" in fields:
        branches = tuple(_branch(branch, path) for branch in _list(fields["branches"], f"{path}.branches"))
        return Block(fields["family"], branches)
    return Block(fields["family"], (), tuple(_object(fields["settings"], f"{path}.settings").items()))


def _branch(document: object, path: str) -> Branch:
    fields = _fields(document, path, {"name", "width"}, {"reduction", "factorization", "pool", "groups"})
    try:
        return Branch(**fields)
    except ValueError as error:
        raise ValueError(f"{error} of {path}") from None
