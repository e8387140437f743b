"""Domains of stems and stages: the parts of a space, each with its choices, its size and its draws."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from search_space.architecture import AUXILIARIES, GRID, REDUCTIONS, STEMS, Block, Stage, Stem
from search_space.blocks import SEARCHABLE, BlockDomain, families, family
from search_space.blocks.alternatives import AnyDomain
from search_space.choices import (
    Chooser,
    Nominal,
    Ordinal,
    Parameter,
    RandomChooser,
    SpaceError,
    Value,
    any_of,
    assigned,
    parse_fields,
    parse_nominal,
    parse_ordinal,
)
from search_space.limits import DEEPEST, MOST_BRANCHES, WIDEST, shown

CONV = "conv"


def _offered(path: str, value: Value, options: tuple[Value, ...]) -> dict[str, Value]:
    """Return `value` under its path, nothing if it is the only option; raise SpaceError if it is not offered."""
    chosen = assigned(path, value, options)
    return chosen if len(options) > 1 else {}


@final
@dataclass(frozen=True)
class StemDomain:
    """Domain of the stem."""

    width: Ordinal
    kernel: Ordinal
    stride: Ordinal
    kind: Nominal = Nominal((CONV,))  # noqa: RUF009 - a frozen value

    @property
    def size(self) -> int:
        """Number of normalised stems; kernel and stride are choices of a single convolution alone."""
        ways = len(self.kernel.options) * len(self.stride.options)
        return len(self.width.options) * sum(ways if kind == CONV else 1 for kind in self.kind.options)

    def sample(self, chooser: Chooser) -> Stem:
        """Return a normalised stem whose choices `chooser` makes."""
        kind = str(self.kind.draw(chooser, "stem.kind"))
        width = self.width.draw(chooser, "stem.width")
        if kind != CONV:
            return Stem(width, kind=kind)
        return Stem(width, self.kernel.draw(chooser, "stem.kernel"), self.stride.draw(chooser, "stem.stride"))

    def draw(self, generator: random.Random) -> Stem:
        """Return a normalised stem, every choice uniform among its options."""
        return self.sample(RandomChooser(generator))

    def uniform(self, generator: random.Random) -> Stem:
        """Return a normalised stem, uniform over all."""
        ways = [(str(k), n, s) for k in self.kind.options for n, s in self._sweeps(str(k))]
        kind, kernel, stride = generator.choice(ways)
        return Stem(generator.choice(self.width.options), kernel, stride, kind)

    def _sweeps(self, kind: str) -> list[tuple[int, int]]:
        default = Stem(1)
        if kind != CONV:
            return [(default.kernel, default.stride)]
        return [(kernel, stride) for kernel in self.kernel.options for stride in self.stride.options]

    def parameters(self) -> tuple[Parameter, ...]:
        """Return every choice that `sample` may ask for, in order."""
        return (
            Parameter("stem.kind", self.kind),
            Parameter("stem.width", self.width),
            Parameter("stem.kernel", self.kernel),
            Parameter("stem.stride", self.stride),
        )

    def assignments(self, stem: Stem) -> dict[str, Value]:
        """Return the choices that make `stem`.

        Raises:
            SpaceError: one of them is not offered.
        """
        chosen = _offered("stem.kind", stem.kind, self.kind.options)
        chosen |= assigned("stem.width", stem.width, self.width.options)
        if stem.kind == CONV:
            chosen |= assigned("stem.kernel", stem.kernel, self.kernel.options)
            chosen |= assigned("stem.stride", stem.stride, self.stride.options)
        return chosen


@final
@dataclass(frozen=True)
class StageDomain:
    """Domain of one stage.

    Attributes:
        depth: number of blocks, at least 0.
        reduction: grid reduction in front of them.
        blocks: one domain for all blocks, or one for each position.
        grid: domain of the reducing block, if `block` is among the reductions.
        auxiliary: auxiliary classifier behind them.
    """

    depth: Ordinal
    reduction: Nominal
    blocks: tuple[BlockDomain, ...]
    grid: BlockDomain | None = None
    auxiliary: Nominal = Nominal(("none",))  # noqa: RUF009 - a frozen value

    def block(self, index: int) -> BlockDomain:
        """Return the domain of the block at a position."""
        return self.blocks[index] if len(self.blocks) > 1 else self.blocks[0]

    @property
    def depths(self) -> tuple[int, ...]:
        """Depths that a normalised stage may have: any up to the largest if a block may be empty."""
        deepest = self.depth.options[-1]
        return tuple(range(deepest + 1)) if self.blocks[0].may_be_empty else self.depth.options

    def _sequences(self, depth: int) -> int:
        """Return the number of normalised sequences of `depth` blocks."""
        product = 1
        for index in range(depth):
            product *= self.block(index).size
        return product

    def _reduction_count(self) -> int:
        return sum(self.grid.size if r == GRID and self.grid else 1 for r in self.reduction.options)

    @property
    def size(self) -> int:
        """Number of normalised stages."""
        return self._reduction_count() * len(self.auxiliary.options) * sum(map(self._sequences, self.depths))

    def sample(self, chooser: Chooser, path: str) -> Stage:
        """Return a stage whose choices `chooser` makes, not yet normalised."""
        reduction = str(self.reduction.draw(chooser, f"{path}.reduction"))
        grid = self.grid.sample(chooser, f"{path}.grid") if reduction == GRID and self.grid else None
        depth = self.depth.draw(chooser, f"{path}.depth")
        blocks = tuple(self.block(i).sample(chooser, f"{path}.block{i}") for i in range(depth))
        return Stage(blocks, reduction, grid, str(self.auxiliary.draw(chooser, f"{path}.auxiliary")))

    def draw(self, generator: random.Random) -> Stage:
        """Return a normalised stage, every choice uniform among its options."""
        reduction = str(any_of(generator, self.reduction.options))
        grid = self.grid.draw(generator) if reduction == GRID and self.grid else None
        domains = (self.block(index) for index in range(any_of(generator, self.depth.options)))
        blocks = tuple(block for domain in domains if (block := domain.draw(generator)) is not None)
        return Stage(blocks, reduction, grid, str(any_of(generator, self.auxiliary.options)))

    def uniform(self, generator: random.Random) -> Stage:
        """Return a stage, uniform over the normalised ones."""
        pick = generator.randrange(self._reduction_count())
        plain = [str(r) for r in self.reduction.options if r != GRID]
        reduction = plain[pick] if pick < len(plain) else GRID
        grid = self.grid.uniform(generator) if reduction == GRID and self.grid else None
        rest = generator.randrange(sum(map(self._sequences, self.depths)))
        for depth in self.depths:
            if rest < self._sequences(depth):
                break
            rest -= self._sequences(depth)
        blocks = tuple(self.block(index).uniform(generator) for index in range(depth))
        return Stage(blocks, reduction, grid, str(generator.choice(self.auxiliary.options)))

    def parameters(self, path: str) -> tuple[Parameter, ...]:
        """Return every choice that `sample` may ask for, in order."""
        grid = self.grid.parameters(f"{path}.grid") if self.grid else ()
        blocks = (p for i in range(self.depth.options[-1]) for p in self.block(i).parameters(f"{path}.block{i}"))
        return (
            Parameter(f"{path}.reduction", self.reduction),
            *grid,
            Parameter(f"{path}.depth", self.depth),
            *blocks,
            Parameter(f"{path}.auxiliary", self.auxiliary),
        )

    def assignments(self, stage: Stage, path: str) -> dict[str, Value]:
        """Return the choices that make a normalised `stage`.

        Raises:
            SpaceError: one of them is not offered.
        """
        filled = len(stage.blocks)
        if filled not in self.depths:
            raise SpaceError(f"depth must be one of {list(self.depths)}, got {filled} at {path}")
        depth = next(d for d in self.depth.options if d >= filled)
        chosen: dict[str, Value] = {f"{path}.depth": depth}
        chosen |= assigned(f"{path}.reduction", stage.reduction, self.reduction.options)
        chosen |= _offered(f"{path}.auxiliary", stage.auxiliary, self.auxiliary.options)
        if stage.grid is not None and self.grid is not None:
            chosen |= self.grid.assignments(stage.grid, f"{path}.grid")
        for index in range(depth):
            block: Block | None = stage.blocks[index] if index < filled else None
            chosen |= self.block(index).assignments(block, f"{path}.block{index}")
        return chosen


def parse_stem(value: object) -> StemDomain:
    """Return the domain of a mapping `{width, kernel, stride, kind}`.

    Raises:
        SpaceError: a key or an option is unknown, or a key is missing; the message names the path.
    """
    stem = parse_fields(value, "stem", ["width"], ["kernel", "stride", "kind"])
    kernel = parse_ordinal(stem.get("kernel", 3), "stem.kernel", least=1, most=WIDEST)
    if any(side % 2 == 0 for side in kernel.options):
        raise SpaceError(f"kernel must be odd, got {list(kernel.options)} at stem.kernel")
    return StemDomain(
        parse_ordinal(stem["width"], "stem.width", least=1),
        kernel,
        parse_ordinal(stem.get("stride", 1), "stem.stride", least=1, most=WIDEST),
        parse_nominal(stem.get("kind", CONV), "stem.kind", STEMS),
    )


def parse_stage(value: object, path: str) -> StageDomain:
    """Return the domain of a mapping `{depth, block, reduction, grid, auxiliary}`, or with `blocks` for the first two.

    Raises:
        SpaceError: a key or an option is unknown, or a key is missing; the message names the path.
    """
    optional = ["reduction", "grid", "auxiliary"]
    listed = isinstance(value, Mapping) and "blocks" in value
    fields = parse_fields(value, path, ["blocks"] if listed else ["depth", "block"], optional)
    reduction = parse_nominal(fields.get("reduction", "none"), f"{path}.reduction", (*REDUCTIONS, GRID))
    if (GRID in reduction.options) != ("grid" in fields):
        raise SpaceError(f"a stage must have a grid exactly where {GRID!r} is among its reductions, at {path}")
    return StageDomain(
        _parse_depth(fields, path),
        reduction,
        _parse_blocks(fields, path),
        parse_block(fields["grid"], f"{path}.grid", reduces=True) if "grid" in fields else None,
        parse_nominal(fields.get("auxiliary", "none"), f"{path}.auxiliary", AUXILIARIES),
    )


def _parse_depth(fields: Mapping[str, Any], path: str) -> Ordinal:
    if "depth" in fields:
        return parse_ordinal(fields["depth"], f"{path}.depth", least=0, most=DEEPEST)
    blocks = fields["blocks"]
    if not isinstance(blocks, list | tuple) or len(blocks) < 2:
        law = "blocks must be a list of at least two, else use depth and block"
        raise SpaceError(f"{law}, got {shown(blocks)} at {path}")
    if len(blocks) > DEEPEST:
        raise SpaceError(f"blocks must be at most {DEEPEST}, got {len(blocks)} at {path}")
    return Ordinal((len(blocks),))


def _parse_blocks(fields: Mapping[str, Any], path: str) -> tuple[BlockDomain, ...]:
    if "block" in fields:
        return (parse_block(fields["block"], f"{path}.block", reduces=False),)
    domains = tuple(parse_block(b, f"{path}.block{i}", reduces=False) for i, b in enumerate(fields["blocks"]))
    for index, domain in enumerate(domains):
        if domain.may_be_empty:
            raise SpaceError(f"a block in a list must have a branch that is always there, at {path}.block{index}")
    return domains


def parse_block(value: Any, path: str, *, reduces: bool) -> BlockDomain:
    """Return the domain of a mapping `{family, ...}`, or of a list of such mappings of different families.

    Args:
        value: the mapping or list.
        path: its path; stands in errors.
        reduces: whether the family must halve height and width; it must not otherwise.

    Raises:
        SpaceError: a family, key or option is unknown, or a key is missing.
        PluginError: a family named by its dotted path can't be used.
    """
    if isinstance(value, list | tuple):
        if len(value) > MOST_BRANCHES:
            raise SpaceError(f"alternatives must be at most {MOST_BRANCHES}, got {len(value)} at {path}")
        return AnyDomain.of([(_family_name(v, path), parse_block(v, path, reduces=reduces)) for v in value], path)
    name = _family_name(value, path)
    found = family(name, stored=False, place=f"{path}.family")
    if found.reduces != reduces:
        fitting = sorted(known for known, one in families().items() if one.reduces == reduces)
        law = f"a family must {'' if reduces else 'not '}halve height and width here, as {', '.join(fitting)}"
        raise SpaceError(f"{law}, got {shown(name)} at {path}.family")
    return found.parse(value, path)


def _family_name(value: object, path: str) -> str:
    name = value.get("family", SEARCHABLE) if isinstance(value, Mapping) else SEARCHABLE
    if not isinstance(name, str):
        raise SpaceError(f"a block family must be one of {sorted(families())}, got {shown(name)} at {path}.family")
    return name
