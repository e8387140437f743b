"""The block of the searchable family that comes nearest to a block of the literature."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from search_space.architecture import Block, Branch
from search_space.blocks import KINDS
from search_space.blocks.fields import read
from search_space.blocks.inception import FAMILY

Fields = Any  # a member of BlockFields; each translation knows which


def _ratio(reduce: int, width: int) -> float:
    return min(1.0, reduce / width)


def _v1(block: Fields) -> tuple[Branch, ...]:
    return (
        Branch("k1", block.k1),
        Branch("k3", block.k3, _ratio(block.k3_reduce, block.k3)),
        Branch("k5", block.k5, _ratio(block.k5_reduce, block.k5)),
        Branch("pool", block.pool, pool="max"),
    )


def _naive(block: Fields) -> tuple[Branch, ...]:
    return (Branch("k1", block.k1), Branch("k3", block.k3), Branch("k5", block.k5))


def _v3a(block: Fields) -> tuple[Branch, ...]:
    return (
        Branch("k1", block.k1),
        Branch("k3", block.single, _ratio(block.single_reduce, block.single)),
        Branch("k5", block.double, _ratio(block.double_reduce, block.double), "stacked"),
        Branch("pool", block.pool, pool=block.pool_kind),
    )


def _v3b(block: Fields) -> tuple[Branch, ...]:
    side = f"k{getattr(block, 'side', 7)}"
    return (
        Branch("k1", block.k1),
        Branch(side, 2 * block.out, _ratio(block.reduce, 2 * block.out), "asymmetric"),
        Branch("pool", block.pool, pool="avg"),
    )


def _v3c(block: Fields) -> tuple[Branch, ...]:
    return (
        Branch("k1", block.k1),
        Branch("k3", 2 * block.fork, _ratio(block.single_reduce, 2 * block.fork), "asymmetric"),
        Branch("k5", 2 * block.fork, _ratio(block.double_reduce, 2 * block.fork), "asymmetric"),
        Branch("pool", block.pool, pool="avg"),
    )


def _v4a(block: Fields) -> tuple[Branch, ...]:
    return (
        Branch("k1", block.out),
        Branch("k3", block.out, _ratio(block.reduce, block.out)),
        Branch("k5", block.out, _ratio(block.reduce, block.out), "stacked"),
        Branch("pool", block.out, pool="avg"),
    )


def _v4c(block: Fields) -> tuple[Branch, ...]:
    return (
        Branch("k1", block.out),
        Branch("k3", 2 * block.out, _ratio(block.reduce, 2 * block.out), "asymmetric"),
        Branch("k5", 2 * block.out, _ratio(block.reduce, 2 * block.out), "asymmetric"),
        Branch("pool", block.out, pool="avg"),
    )


TRANSLATIONS: Mapping[str, Callable[[Fields], tuple[Branch, ...]]] = {
    "naive": _naive,
    "v1": _v1,
    "v3a": _v3a,
    "v3b": _v3b,
    "v3c": _v3c,
    "v4a": _v4a,
    "v4b": _v3b,
    "v4c": _v4c,
}


def searchable(block: Block) -> Block | None:
    """The block in the searchable family, None where nothing in it comes near (residual and depthwise blocks).

    Branches keep width, reduction and receptive field. A pair of branches of one side, as in v3's block B, becomes
    one branch of their common width.
    """
    if block.family == FAMILY:
        return block
    if block.family not in TRANSLATIONS:
        return None
    kind = next(known for known in KINDS if block.family == known.NAME)
    return Block(FAMILY, TRANSLATIONS[block.family](read(kind, block)))
