"""The searchable Inception block: parallel convolutions of several sides and a pooled branch.

With no reductions it is the naive module of Szegedy et al. 2015 (Going Deeper with Convolutions, figure 2a), with
them the module of figure 2b; stacked and asymmetric branches are the factorizations of Szegedy et al. 2016
(Rethinking the Inception Architecture, sections 3.1 and 3.2), separable ones those of Chollet 2017 (Xception).
Grouped convolutions make the connections sparse in a structure that hardware likes, the motive of the first paper's
section 3. Every convolution but a depthwise one is followed by batch norm and ReLU.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, final

from search_space.architecture import FACTORIZATIONS, Block, Branch
from search_space.choices import (
    Chooser,
    Nominal,
    Ordinal,
    Parameter,
    SpaceError,
    Value,
    any_of,
    assigned,
    parse_fields,
    parse_nominal,
    parse_ordinal,
)
from search_space.graph import Concat, Conv, Node, Pool, Seq, conv

FAMILY = "inception"
KERNELS = {"k1": 1, "k3": 3, "k5": 5, "k7": 7}
POOL = "pool"
POOL_KINDS = ("max", "avg")
ORDER = (*KERNELS, POOL)
NO_REDUCTION = "none"


def normalise(block: Block) -> Block | None:
    """The block with absent branches and unused choices gone, branches in canonical order; None for no branch at all.

    Raises:
        SpaceError: a branch that this family does not know, or twice the same one.
    """
    names = [branch.name for branch in block.branches]
    if len(set(names)) != len(names) or not set(names) <= set(ORDER):
        raise SpaceError(f"branches must differ and be of {list(ORDER)}, got {names}")
    present = [_normalise_branch(branch) for branch in block.branches if branch.width > 0]
    present.sort(key=lambda branch: ORDER.index(branch.name))
    return Block(FAMILY, tuple(present)) if present else None


def _normalise_branch(branch: Branch) -> Branch:
    if branch.name == POOL:
        return Branch(POOL, branch.width, pool=branch.pool or "max")
    if branch.name == "k1":
        return Branch("k1", branch.width)
    if KERNELS[branch.name] == 3 and branch.factorization == "stacked":
        branch = replace(branch, factorization="full")
    groups = 1 if branch.factorization == "separable" else branch.groups
    return replace(branch, pool=None, groups=groups)


def lower(block: Block, in_channels: int, name: str) -> Node:
    """The block on `in_channels` channels as an expression of the algebra."""
    return Concat(tuple(lower_branch(branch, in_channels) for branch in block.branches), name=name)


def lower_branch(branch: Branch, in_channels: int) -> Node:
    """One branch of a block on `in_channels` channels, its place in the concatenation."""
    if branch.name == POOL:
        pool = Pool(branch.pool or "max", (3, 3), (1, 1), (1, 1), count_padding=False, name="pool")
        return Seq((pool, conv(branch.width, 1, name="project")), name=POOL)
    nodes: list[Node] = []
    if branch.reduced is not None:
        nodes.append(conv(branch.reduced, 1, name="reduce"))
        in_channels = branch.reduced
    nodes += _lower_convolution(branch, in_channels)
    return Seq(tuple(nodes), name=branch.name)


def _lower_convolution(branch: Branch, in_channels: int) -> list[Node]:
    side, width = KERNELS[branch.name], branch.width
    first, then = math.gcd(branch.groups, in_channels, width), math.gcd(branch.groups, width)
    match branch.factorization:
        case "full":
            return [conv(width, side, groups=first, name="conv")]
        case "stacked":
            chain = range((side - 1) // 2)
            return [conv(width, 3, groups=then if index else first, name=f"conv{index}") for index in chain]
        case "asymmetric":
            return [
                conv(width, (1, side), groups=first, name="row"),
                conv(width, (side, 1), groups=then, name="column"),
            ]
        case "separable":
            padding = (side // 2, side // 2)
            depthwise = Conv(in_channels, (side, side), padding=padding, groups=in_channels, name="depthwise")
            return [depthwise, conv(width, 1, name="pointwise")]
    raise AssertionError(f"no expression for factorization {branch.factorization}")


@final
@dataclass(frozen=True)
class BranchDomain:
    """What one branch may be: widths; for a convolution larger than 1×1 also reductions, factorizations and groups."""

    name: str
    width: Ordinal
    reduction: Nominal = Nominal((NO_REDUCTION,))  # noqa: RUF009 - a frozen value
    factorization: Nominal = Nominal(("full",))  # noqa: RUF009 - a frozen value
    groups: Ordinal = Ordinal((1,))  # noqa: RUF009 - a frozen value
    pool: Nominal | None = None

    @property
    def may_be_absent(self) -> bool:
        """Whether 0 is among the widths."""
        return 0 in self.width.options

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of a branch that is present."""
        return tuple(width for width in self.width.options if width > 0)

    @property
    def size(self) -> int:
        """Number of normalised branches that are present."""
        kinds = len(self.pool.options) if self.pool else 1
        return len(self.widths) * len(self.reduction.options) * len(self._ways) * kinds

    @cached_property
    def _ways(self) -> tuple[tuple[str, int], ...]:
        """Factorizations with their groups, as normalised branches have them."""
        pairs = ((str(f), g) for f in self.factorization.options for g in self.groups.options)
        normal = (_normalise_branch(Branch(self.name, 1, None, f, groups=g)) for f, g in pairs)
        return tuple(dict.fromkeys((branch.factorization, branch.groups) for branch in normal))

    def sample(self, chooser: Chooser, path: str) -> Branch:
        """A branch; nothing more is asked of one that is absent."""
        width = self.width.draw(chooser, f"{path}.width")
        if width == 0:
            return Branch(self.name, 0)
        if self.pool:
            return Branch(self.name, width, pool=str(self.pool.draw(chooser, f"{path}.pool")))
        ratio = self.reduction.draw(chooser, f"{path}.reduction")
        factorization = str(self.factorization.draw(chooser, f"{path}.factorization"))
        groups = 1 if factorization == "separable" else self.groups.draw(chooser, f"{path}.groups")
        return Branch(self.name, width, None if ratio == NO_REDUCTION else float(ratio), factorization, groups=groups)

    @cached_property
    def _draws(self) -> tuple[Branch | None, ...]:
        """What every way of choosing comes to, all ways alike: a normalised branch, None for an absent one."""
        kinds = self.pool.options if self.pool else (None,)
        choices = (self.reduction.options, self.factorization.options, self.groups.options, kinds)
        return tuple(self._made(*chosen) for chosen in itertools.product(self.width.options, *choices))

    def _made(self, width: int, ratio: Value, factorization: Value, groups: int, pool: Value | None) -> Branch | None:
        reduction = None if ratio == NO_REDUCTION else float(ratio)
        branch = Branch(self.name, width, reduction, str(factorization), None if pool is None else str(pool), groups)
        return _normalise_branch(branch) if width else None

    def draw(self, generator: random.Random) -> Branch | None:
        """A normalised branch, every choice uniform among its options; None for an absent one."""
        return any_of(generator, self._draws)

    def uniform(self, generator: random.Random) -> Branch:
        """A normalised branch, each with the same chance, absence being one of them where it is offered."""
        if self.may_be_absent and generator.randrange(self.size + 1) == 0:
            return Branch(self.name, 0)
        width = generator.choice(self.widths)
        if self.pool:
            return Branch(self.name, width, pool=str(generator.choice(self.pool.options)))
        ratio = generator.choice(self.reduction.options)
        factorization, groups = generator.choice(self._ways)
        return Branch(self.name, width, None if ratio == NO_REDUCTION else float(ratio), factorization, groups=groups)

    def parameters(self, path: str) -> tuple[Parameter, ...]:
        """Every choice that `sample` may ask for, in order."""
        if self.pool:
            return (Parameter(f"{path}.width", self.width), Parameter(f"{path}.pool", self.pool))
        return (
            Parameter(f"{path}.width", self.width),
            Parameter(f"{path}.reduction", self.reduction),
            Parameter(f"{path}.factorization", self.factorization),
            Parameter(f"{path}.groups", self.groups),
        )

    def assignments(self, branch: Branch, path: str) -> dict[str, Value]:
        """The choices that make `branch`.

        Raises:
            SpaceError: one of them is not offered.
        """
        chosen = assigned(f"{path}.width", branch.width, self.width.options)
        if branch.width and self.pool:
            chosen |= assigned(f"{path}.pool", branch.pool or "", self.pool.options)
        elif branch.width:
            ratio = NO_REDUCTION if branch.reduction is None else branch.reduction
            chosen |= assigned(f"{path}.reduction", ratio, self.reduction.options)
            ways = self.factorization.options
            same = [f for f in ways if _normalise_branch(replace(branch, factorization=str(f))) == branch]
            chosen |= assigned(f"{path}.factorization", same[0] if same else branch.factorization, ways)
            if branch.factorization != "separable":
                groups = assigned(f"{path}.groups", branch.groups, self.groups.options)
                chosen |= groups if len(self.groups.options) > 1 else {}
        return chosen


@final
@dataclass(frozen=True)
class InceptionDomain:
    """What one block may be."""

    branches: tuple[BranchDomain, ...]

    @property
    def may_be_empty(self) -> bool:
        """Whether every branch may be absent; such a block is no block."""
        return all(branch.may_be_absent for branch in self.branches)

    @property
    def size(self) -> int:
        """Number of normalised blocks that have a branch."""
        product = 1
        for branch in self.branches:
            product *= branch.size + branch.may_be_absent
        return product - self.may_be_empty

    def sample(self, chooser: Chooser, path: str) -> Block:
        """A block, not yet normalised."""
        return Block(FAMILY, tuple(b.sample(chooser, f"{path}.{b.name}") for b in self.branches))

    def draw(self, generator: random.Random) -> Block | None:
        """A normalised block, every choice uniform among its options; None for the empty one."""
        present = tuple(branch for domain in self.branches if (branch := domain.draw(generator)) is not None)
        return Block(FAMILY, present) if present else None

    def uniform(self, generator: random.Random) -> Block:
        """A normalised block that has a branch, each with the same chance."""
        while True:
            block = normalise(Block(FAMILY, tuple(branch.uniform(generator) for branch in self.branches)))
            if block is not None:
                return block

    def parameters(self, path: str) -> tuple[Parameter, ...]:
        """Every choice that `sample` may ask for, in order."""
        return tuple(p for branch in self.branches for p in branch.parameters(f"{path}.{branch.name}"))

    def assignments(self, block: Block | None, path: str) -> dict[str, Value]:
        """The choices that make a normalised `block`, None for the empty one.

        Raises:
            SpaceError: the block is not of this domain.
        """
        present = {branch.name: branch for branch in block.branches} if block else {}
        foreign = set(present) - {branch.name for branch in self.branches}
        if foreign or (block and block.family != FAMILY):
            raise SpaceError(
                f"a block must be of the branches {[b.name for b in self.branches]}, got {block} at {path}"
            )
        chosen: dict[str, Value] = {}
        for domain in self.branches:
            branch = present.get(domain.name, Branch(domain.name, 0))
            chosen |= domain.assignments(branch, f"{path}.{domain.name}")
        return chosen


def parse(mapping: Mapping[str, Any], path: str) -> InceptionDomain:
    """The domain that a parsed mapping describes: `{branches: {k3: {width, reduction, factorization}, pool: {...}}}`.

    Raises:
        SpaceError: unknown keys or options.
    """
    fields = parse_fields(mapping, path, ["branches"], ["family"])
    branches = parse_fields(fields["branches"], f"{path}.branches", [], ORDER)
    if not branches:
        raise SpaceError(f"a block needs at least one branch of {list(ORDER)}, got none at {path}.branches")
    return InceptionDomain(tuple(_parse_branch(n, branches[n], f"{path}.{n}") for n in ORDER if n in branches))


def _parse_branch(name: str, value: object, path: str) -> BranchDomain:
    if name == POOL:
        fields = parse_fields(value, path, ["width"], ["pool"])
        pool = parse_nominal(fields.get("pool", "max"), f"{path}.pool", POOL_KINDS)
        return BranchDomain(name, _parse_width(fields, path), pool=pool)
    if name == "k1":
        return BranchDomain(name, _parse_width(parse_fields(value, path, ["width"]), path))
    fields = parse_fields(value, path, ["width"], ["reduction", "factorization", "groups"])
    return BranchDomain(
        name,
        _parse_width(fields, path),
        parse_nominal(fields.get("reduction", NO_REDUCTION), f"{path}.reduction", [NO_REDUCTION], ratios=True),
        parse_nominal(fields.get("factorization", "full"), f"{path}.factorization", FACTORIZATIONS),
        parse_ordinal(fields.get("groups", 1), f"{path}.groups", least=1),
    )


def _parse_width(fields: Mapping[str, Any], path: str) -> Ordinal:
    return parse_ordinal(fields["width"], f"{path}.width", least=0)
