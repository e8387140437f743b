"""What is chosen: Architecture > Stage > Block > Branch, as frozen values with a JSON form and an identity.

An architecture says which choices a network was made with; `lowering.py` says what network that is. JSON documents
leave out what has its default, so that a field added later changes no identity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from search_space.graph import POOLS, Shape
from search_space.identity import canonical_json, digest

FACTORIZATIONS = ("full", "stacked", "asymmetric", "separable")
REDUCTIONS = ("none", "max", "avg")


def _check(law: bool, message: str) -> None:
    if not law:
        raise ValueError(message)


def _is_integer(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@final
@dataclass(frozen=True, slots=True)
class Branch:
    """One branch of a block.

    Attributes:
        name: `k1`, `k3`, `k5`, `k7` for a convolution of that side, `pool` for pooling and a 1×1 projection.
        width: output channels; 0 says that the branch is absent.
        reduction: channels of the 1×1 convolution in front, as a share of `width`; None for no such convolution.
        factorization: how an n×n convolution is written: `full`; `stacked`, a chain of 3×3 with the same receptive
            field; `asymmetric`, 1×n then n×1; `separable`, depthwise then pointwise.
        pool: `max` or `avg` for a pool branch, None for any other.
    """

    name: str
    width: int
    reduction: float | None = None
    factorization: str = "full"
    pool: str | None = None

    def __post_init__(self) -> None:
        _check(isinstance(self.name, str), f"name of a branch must be a word, got {self.name!r}")
        _check(
            self.pool is None or self.pool in POOLS, f"pool must be one of {POOLS}, got {self.pool!r} at {self.name}"
        )
        _check(_is_integer(self.width, 0), f"width must be an integer >= 0, got {self.width!r} at {self.name}")
        _check(
            self.reduction is None or (_is_number(self.reduction) and 0 < self.reduction <= 1),
            f"reduction must be none or lie in (0, 1], got {self.reduction} at {self.name}",
        )
        _check(
            self.factorization in FACTORIZATIONS,
            f"factorization must be one of {FACTORIZATIONS}, got {self.factorization!r} at {self.name}",
        )

    @property
    def reduced(self) -> int | None:
        """Channels of the 1×1 convolution in front: the share of `width`, halves rounded up, at least 1.

        >>> Branch("k5", 24, reduction=0.25).reduced
        6
        """
        return None if self.reduction is None else max(1, math.floor(self.reduction * self.width + 0.5))

    def to_json(self) -> dict[str, Any]:
        """A JSON object without what has its default."""
        document: dict[str, Any] = {"name": self.name, "width": self.width}
        if self.reduction is not None:
            document["reduction"] = float(self.reduction)
        if self.factorization != "full":
            document["factorization"] = self.factorization
        if self.pool is not None:
            document["pool"] = self.pool
        return document


@final
@dataclass(frozen=True, slots=True)
class Block:
    """Parallel branches on one input.

    Attributes:
        family: the block family that knows the branches, a name in `search_space.blocks.FAMILIES`.
        branches: the branches.
    """

    family: str
    branches: tuple[Branch, ...]

    def __post_init__(self) -> None:
        _check(isinstance(self.family, str), f"family of a block must be a word, got {self.family!r}")

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"family": self.family, "branches": [branch.to_json() for branch in self.branches]}


@final
@dataclass(frozen=True, slots=True)
class Stage:
    """Blocks at one resolution.

    Attributes:
        blocks: the blocks in order.
        reduction: grid reduction in front of them: `none`, or 3×3 pooling with stride 2 by `max` or `avg`.
    """

    blocks: tuple[Block, ...]
    reduction: str = "none"

    def __post_init__(self) -> None:
        _check(
            self.reduction in REDUCTIONS, f"reduction of a stage must be one of {REDUCTIONS}, got {self.reduction!r}"
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object without what has its default."""
        document: dict[str, Any] = {"blocks": [block.to_json() for block in self.blocks]}
        if self.reduction != "none":
            document["reduction"] = self.reduction
        return document


@final
@dataclass(frozen=True, slots=True)
class Stem:
    """The convolution in front of all stages.

    Attributes:
        width: output channels.
        kernel: odd side of its filters.
        stride: its step.
    """

    width: int
    kernel: int = 3
    stride: int = 1

    def __post_init__(self) -> None:
        _check(_is_integer(self.width, 1), f"width must be an integer >= 1, got {self.width!r} at stem")
        _check(_is_integer(self.kernel, 1) and self.kernel % 2 == 1, f"kernel must be odd, got {self.kernel!r} at stem")
        _check(_is_integer(self.stride, 1), f"stride must be an integer >= 1, got {self.stride!r} at stem")

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"width": self.width, "kernel": self.kernel, "stride": self.stride}


@final
@dataclass(frozen=True)
class Architecture:
    """Everything that is chosen about one network, for images of one shape and a number of classes.

    Attributes:
        input: shape of one image.
        classes: number of logits.
        stem: the first convolution.
        stages: the stages in order.
        dropout: rate of the dropout before the classifier, in [0, 1).
    """

    input: Shape
    classes: int
    stem: Stem
    stages: tuple[Stage, ...]
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _check(
            all(_is_integer(extent, 1) for extent in self.input), f"input must be integers >= 1, got {list(self.input)}"
        )
        _check(_is_integer(self.classes, 2), f"classes must be an integer >= 2, got {self.classes!r}")
        _check(_is_number(self.dropout) and 0 <= self.dropout < 1, f"dropout must lie in [0, 1), got {self.dropout!r}")

    @cached_property
    def id(self) -> str:
        """Hash of the JSON form; one for one set of choices, if the architecture is normalised as a space makes it."""
        return digest(canonical_json(self.to_json()))

    def to_json(self) -> dict[str, Any]:
        """A JSON object without what has its default."""
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
        """The architecture that `to_json` wrote.

        Raises:
            ValueError: something is missing, unknown or out of range; the message says where.
        """
        fields = _fields(document, "architecture", {"input", "classes", "stem", "stages"}, {"dropout"})
        extents = _list(fields["input"], "input")
        _check(len(extents) == 3, f"input must be [channels, height, width], got {extents}")
        return cls(
            Shape(*extents),
            fields["classes"],
            Stem(**_fields(fields["stem"], "stem", {"width"}, {"kernel", "stride"})),
            tuple(_stage(stage, f"stage{index}") for index, stage in enumerate(_list(fields["stages"], "stages"))),
            fields.get("dropout", 0.0),
        )


def _fields(document: object, path: str, needed: set[str], optional: set[str]) -> Mapping[str, Any]:
    if isinstance(document, Mapping):
        return _known(document, path, needed, optional)
    raise ValueError(f"a JSON object must stand at {path}, got {document!r}")


def _list(document: object, path: str) -> list[Any]:
    if isinstance(document, list):
        return document
    raise ValueError(f"a JSON list must stand at {path}, got {document!r}")


def _known(document: Mapping[str, Any], path: str, needed: set[str], optional: set[str]) -> Mapping[str, Any]:
    missing, unknown = needed - set(document), set(document) - needed - optional
    _check(not missing, f"{path} must have {sorted(needed)}, lacks {sorted(missing)}")
    _check(not unknown, f"{path} may have {sorted(needed | optional)}, got also {sorted(unknown)}")
    return document


def _stage(document: object, path: str) -> Stage:
    fields = _fields(document, path, {"blocks"}, {"reduction"})
    documents = _list(fields["blocks"], f"{path}.blocks")
    blocks = tuple(_block(block, f"{path}.block{index}") for index, block in enumerate(documents))
    return Stage(blocks, fields.get("reduction", "none"))


def _block(document: object, path: str) -> Block:
    fields = _fields(document, path, {"family", "branches"}, set())
    branches = tuple(_branch(branch, path) for branch in _list(fields["branches"], f"{path}.branches"))
    return Block(fields["family"], branches)


def _branch(document: object, path: str) -> Branch:
    fields = _fields(document, path, {"name", "width"}, {"reduction", "factorization", "pool"})
    try:
        return Branch(**fields)
    except ValueError as error:
        raise ValueError(f"{error} of {path}") from None
