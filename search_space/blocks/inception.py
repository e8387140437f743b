"""The searchable Inception block: parallel convolutions of several sides and a pooled branch.

With no reductions it is the naive module of Szegedy et al. 2015 (Going Deeper with Convolutions, figure 2a), with
them the module of figure 2b; stacked and asymmetric branches are the factorizations of Szegedy et al. 2016
(Rethinking the Inception Architecture, sections 3.1 and 3.2), separable ones those of Chollet 2017 (Xception).
Grouped convolutions make the connections sparse in a structure that suits hardware, the motive of the first paper's
section 3. Every convolution but a depthwise one is followed by batch norm and ReLU.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, final

from search_space.architecture import FACTORIZATIONS, Block, Branch
from search_space.blocks.family import SEARCHABLE, Family
from search_space.blocks.fields import Declared, count, option, parse_choices, width
from search_space.choices import Choice, Chooser, Parameter, SpaceError, Value, any_of, assigned, parse_fields
from search_space.graph import Concat, Conv, Node, Pool, Seq, conv

KERNELS = {"k1": 1, "k3": 3, "k5": 5, "k7": 7}
POOL = "pool"
ORDER = (*KERNELS, POOL)
NO_REDUCTION = "none"
REMEMBERED = 2**15
"""Branches that are remembered by their choices: a space has few different ones, and a study thousands of networks."""

# The choices of a branch; those of one tuple of `AXES` depend on one another, all others on none.
CONVOLUTION: Declared = {
    "width": width(least=0),
    "reduction": option(NO_REDUCTION, fractions=True),
    "factorization": option(*FACTORIZATIONS),
    "groups": count(1),
}
POOLING: Declared = {"width": width(least=0), "pool": option("max", "avg")}
AXES = (("width",), ("reduction",), ("factorization", "groups"), ("pool",))

_Settings = tuple[tuple[str, Any], ...]  # fields of a branch with their values


def _declared(name: str) -> Declared:
    return POOLING if name == POOL else CONVOLUTION


def normalise(block: Block) -> Block | None:
    """Return the block without absent branches and unused choices, branches in canonical order; None if none is left.

    Raises:
        SpaceError: a branch is not of this family, or stands there twice.
    """
    names = [branch.name for branch in block.branches]
    if len(set(names)) != len(names) or not set(names) <= set(ORDER):
        raise SpaceError(f"branches must differ and be of {list(ORDER)}, got {names}")
    present = [_normalise_branch(branch) for branch in block.branches if branch.width > 0]
    present.sort(key=lambda branch: ORDER.index(branch.name))
    return Block(SEARCHABLE, tuple(present)) if present else None


@lru_cache(REMEMBERED)
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
    """Return the block on `in_channels` channels as an expression of the algebra."""
    return Concat(tuple(lower_branch(branch, in_channels) for branch in block.branches), name=name)


def lower_branch(branch: Branch, in_channels: int) -> Node:
    """Return one branch of a block on `in_channels` channels as an expression of the algebra."""
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


def _branch(name: str, chosen: Mapping[str, Value]) -> Branch:
    """Return the normalised branch that choices make."""
    return _branch_of(name, tuple(chosen.items()))


@lru_cache(REMEMBERED)
def _branch_of(name: str, chosen: tuple[tuple[str, Value], ...]) -> Branch:
    settings: dict[str, Any] = dict(chosen)
    if "reduction" in settings:
        settings["reduction"] = None if settings["reduction"] == NO_REDUCTION else float(settings["reduction"])
    return _normalise_branch(Branch(name, **settings))


def _chosen(branch: Branch) -> dict[str, Value]:
    """Return a branch's settings as choices."""
    values = {name: getattr(branch, name) for name in _declared(branch.name)}
    return {name: NO_REDUCTION if name == "reduction" and value is None else value for name, value in values.items()}


def branch_choices(branch: Branch) -> dict[str, Value]:
    """Return every choice of a normalised branch that is present; a 1×1 convolution has only its width."""
    return {"width": branch.width} if branch.name == "k1" else _chosen(branch)


def _is_used(name: str, chosen: Mapping[str, Value]) -> bool:
    """Return whether a choice matters, given the choices before it."""
    if name == "width":
        return True
    return chosen["width"] != 0 and (name != "groups" or chosen["factorization"] != "separable")


@final
@dataclass(frozen=True)
class BranchDomain:
    """Domain of one branch.

    Attributes:
        name: name of the branch, one of `ORDER`.
        choices: options of each setting, width first.
    """

    name: str
    choices: tuple[tuple[str, Choice], ...]

    @property
    def may_be_absent(self) -> bool:
        """True if 0 is among the widths."""
        return 0 in self._options["width"]

    @property
    def size(self) -> int:
        """Number of normalised branches that are present."""
        return math.prod(len(axis) for axis in self._axes)

    @cached_property
    def _options(self) -> dict[str, tuple[Value, ...]]:
        return {name: choice.options for name, choice in self.choices}

    @cached_property
    def _axes(self) -> tuple[tuple[_Settings, ...], ...]:
        """Settings of a present branch: for each of `AXES` its different normalised values."""
        return tuple(self._normal_values(names) for names in AXES if names[0] in self._options)

    def _normal_values(self, names: tuple[str, ...]) -> tuple[_Settings, ...]:
        ways = itertools.product(*(self._options[name] for name in names))
        branches = (_branch(self.name, {"width": 1, **dict(zip(names, way, strict=True))}) for way in ways)
        values = (tuple((name, getattr(branch, name)) for name in names) for branch in branches if branch.width)
        return tuple(dict.fromkeys(values))

    def sample(self, chooser: Chooser, path: str) -> Branch:
        """Return a branch whose choices `chooser` makes; those of an absent branch are not asked for."""
        chosen: dict[str, Value] = {}
        for name, choice in self.choices:
            if _is_used(name, chosen):
                chosen[name] = choice.draw(chooser, f"{path}.{name}")
        return _branch(self.name, chosen)

    @cached_property
    def _draws(self) -> tuple[Branch | None, ...]:
        """Normalised branch of every combination of options, None for an absent one."""
        ways = itertools.product(*self._options.values())
        branches = (_branch(self.name, dict(zip(self._options, way, strict=True))) for way in ways)
        return tuple(branch if branch.width else None for branch in branches)

    def draw(self, generator: random.Random) -> Branch | None:
        """Return a normalised branch, every choice uniform among its options; None for an absent one."""
        return any_of(generator, self._draws)

    def uniform(self, generator: random.Random) -> Branch:
        """Return a branch, uniform over the normalised ones, absence being one of them if it is offered."""
        if self.may_be_absent and generator.randrange(self.size + 1) == 0:
            return Branch(self.name, 0)
        settings: dict[str, Any] = dict(entry for axis in self._axes for entry in generator.choice(axis))
        return Branch(self.name, **settings)

    def parameters(self, path: str) -> tuple[Parameter, ...]:
        """Return every choice that `sample` may ask for, in order."""
        return tuple(Parameter(f"{path}.{name}", choice) for name, choice in self.choices)

    @cached_property
    def _first(self) -> dict[str, dict[Value, Value]]:
        """First option of each setting by the value that it has in a normalised branch."""
        return {
            name: {_chosen(_branch(self.name, {"width": 1, name: o}))[name]: o for o in reversed(options)}
            for name, options in self._options.items()
        }

    def assignments(self, branch: Branch, path: str) -> dict[str, Value]:
        """Return the choices that make a normalised branch.

        Raises:
            SpaceError: one of them is not offered.
        """
        chosen: dict[str, Value] = {}
        values = _chosen(branch)
        for name, options in self._options.items():
            if _is_used(name, values):
                option = self._first[name].get(values[name], values[name])
                chosen |= assigned(f"{path}.{name}", option, options)
        return chosen


@final
@dataclass(frozen=True)
class InceptionDomain:
    """Domain of one block."""

    branches: tuple[BranchDomain, ...]

    @property
    def may_be_empty(self) -> bool:
        """True if every branch may be absent; a block without branches is dropped."""
        return all(branch.may_be_absent for branch in self.branches)

    @property
    def size(self) -> int:
        """Number of normalised blocks that have a branch."""
        return math.prod(branch.size + branch.may_be_absent for branch in self.branches) - self.may_be_empty

    def sample(self, chooser: Chooser, path: str) -> Block:
        """Return a block whose choices `chooser` makes, not yet normalised."""
        return Block(SEARCHABLE, tuple(b.sample(chooser, f"{path}.{b.name}") for b in self.branches))

    def draw(self, generator: random.Random) -> Block | None:
        """Return a normalised block, every choice uniform among its options; None for the empty one."""
        present = tuple(branch for domain in self.branches if (branch := domain.draw(generator)) is not None)
        return Block(SEARCHABLE, present) if present else None

    def uniform(self, generator: random.Random) -> Block:
        """Return a normalised block, uniform over those that have a branch."""
        while True:
            block = normalise(Block(SEARCHABLE, tuple(branch.uniform(generator) for branch in self.branches)))
            if block is not None:
                return block

    def parameters(self, path: str) -> tuple[Parameter, ...]:
        """Return every choice that `sample` may ask for, in order."""
        return tuple(p for branch in self.branches for p in branch.parameters(f"{path}.{branch.name}"))

    def assignments(self, block: Block | None, path: str) -> dict[str, Value]:
        """Return the choices that make a normalised `block`, None for the empty one.

        Raises:
            SpaceError: the block is not of this domain.
        """
        present = {branch.name: branch for branch in block.branches} if block else {}
        foreign = set(present) - {branch.name for branch in self.branches}
        if foreign or (block and block.family != SEARCHABLE):
            raise SpaceError(
                f"a block must be of the branches {[b.name for b in self.branches]}, got {block} at {path}"
            )
        chosen: dict[str, Value] = {}
        for domain in self.branches:
            branch = present.get(domain.name, Branch(domain.name, 0))
            chosen |= domain.assignments(branch, f"{path}.{domain.name}")
        return chosen


def parse(mapping: Mapping[str, Any], path: str) -> InceptionDomain:
    """Return the domain of a mapping `{branches: {k3: {width, reduction, factorization, groups}, pool: {...}}}`.

    Raises:
        SpaceError: a key or an option is unknown, or a key is missing.
    """
    fields = parse_fields(mapping, path, ["branches"], ["family"])
    branches = parse_fields(fields["branches"], f"{path}.branches", [], ORDER)
    if not branches:
        raise SpaceError(f"a block needs at least one branch of {list(ORDER)}, got none at {path}.branches")
    return InceptionDomain(tuple(_parse_branch(n, branches[n], f"{path}.{n}") for n in ORDER if n in branches))


def _parse_branch(name: str, value: object, path: str) -> BranchDomain:
    entries = _declared(name)
    optional = [] if name == "k1" else [entry for entry in entries if entry != "width"]  # a 1×1 has nothing to split
    return BranchDomain(name, parse_choices(entries, parse_fields(value, path, ["width"], optional), path))


def targets(block: Block, multiplier: float) -> dict[str, Value]:
    """Return the settings of every branch, widths times `multiplier`; absent branches have width 0."""
    found: dict[str, Value] = {}
    for name in ORDER:
        branch = next((b for b in block.branches if b.name == name), Branch(name, 0))
        chosen = _chosen(_normalise_branch(branch))
        found |= {f"{name}.{setting}": value for setting, value in chosen.items()}
        found[f"{name}.width"] = branch.width * multiplier
    return found


FAMILIES = {
    SEARCHABLE: Family(normalise, lower, parse, targets=targets, branches=lambda block: block.branches),
}
