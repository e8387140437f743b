"""Differences of two architectures: their choices by path, the changes from one to the other, and these in words.

The paths are those of a search's parameters, `stage1.block0.k5.factorization`, but need no space: every setting of the
normal form has one. A part that only one of two architectures has, such as a branch, is one change, and so is a block
that is of another family, whose settings have a meaning of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

from search_space.architecture import Architecture, Block
from search_space.blocks import family
from search_space.blocks.inception import branch_choices
from search_space.choices import Value
from search_space.limits import MOST_STAGES
from search_space.lowering import normalise

Part = tuple[tuple[str, Value], ...]
"""Choices of a part, by their paths within the part."""

TELLING = (".factorization", ".pool.pool")
"""Ends of paths whose values say themselves what they set, so that words name the branch alone."""

POSITION = re.compile(r"stage(\d+)(?:\.block(\d+))?")

FAMILY = "family"
ABSENT = "absent"
ARROW = " → "


@final
@dataclass(frozen=True, slots=True)
class Change:
    """One difference of two architectures.

    Attributes:
        path: path of the choice, or of a part that only one of the two has, or of a block of another family.
        before: value of the first architecture, the choices of its part, or None where it has none.
        after: value of the second architecture, likewise.
    """

    path: str
    before: Value | Part | None
    after: Value | Part | None

    @property
    def kind(self) -> str:
        """Kind of the change: `added`, `removed` or `changed`."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"

    @property
    def place(self) -> str:
        """Path of what is changed in a drawing or a table of blocks, as far as it is told by the path alone.

        >>> Change("stage1.grid.k3.width", 8, 16).place
        'stage1.reduction.k3.width'
        """
        return ".".join(DRAWN.get(step, step) for step in self.path.split("."))

    def text(self) -> str:
        """Return the change in words.

        >>> Change("stage1.block0.k5.factorization", "stacked", "separable").text()
        'stage1.block0.k5: stacked → separable'
        >>> Change("stage1.block0.k7", None, (("width", 8), ("reduction", 0.5))).text()
        'stage1.block0.k7: absent → width 8, reduction 0.5'
        """
        named = self.path.rpartition(".")[0] if self.path.endswith(TELLING) else self.path
        return f"{named}: {_words(self.before)}{ARROW}{_words(self.after)}"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object; the choices of a part are an object too."""
        sides = {"before": self.before, "after": self.after}
        plain = {side: dict(value) if isinstance(value, tuple) else value for side, value in sides.items()}
        return {"path": self.path, **plain, "text": self.text()}


DRAWN = {"grid": "reduction", "auxiliary": "aux", "classes": "classifier"}
"""Names in a drawing of what a choice names otherwise."""


def _words(value: Value | Part | None) -> str:
    """Return a value in words; a block as its family with its branches or settings."""
    if value is None:
        return ABSENT
    if not isinstance(value, tuple):
        return _word(value)
    kind = next((str(choice) for path, choice in value if path == FAMILY), "")
    rest = [(path, choice) for path, choice in value if path != FAMILY]
    if any("." in path for path, _ in rest):
        inner = ", ".join(dict.fromkeys(path.partition(".")[0] for path, _ in rest))
    else:
        inner = ", ".join(f"{path} {_word(choice)}" for path, choice in rest)
    return f"{kind} ({inner})" if kind and inner else kind or inner


def _word(value: Value) -> str:
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def choices_of(architecture: Architecture) -> dict[str, Value]:
    """Return every choice of the normal form of an architecture, by path.

    An absent branch has none, and no block beyond the depth. Different normal forms have different choices.
    """
    normal = normalise(architecture)
    stem = normal.stem
    chosen: dict[str, Value] = {
        "input": str(normal.input),
        "classes": normal.classes,
        "stem.kind": stem.kind,
        "stem.width": stem.width,
    }
    if stem.kind == "conv":
        chosen |= {"stem.kernel": stem.kernel, "stem.stride": stem.stride}
    for index, stage in enumerate(normal.stages):
        path = f"stage{index}"
        chosen[f"{path}.reduction"] = stage.reduction
        if stage.grid is not None:
            chosen |= _block(stage.grid, f"{path}.grid")
        chosen[f"{path}.depth"] = len(stage.blocks)
        for position, block in enumerate(stage.blocks):
            chosen |= _block(block, f"{path}.block{position}")
        chosen[f"{path}.auxiliary"] = stage.auxiliary
    chosen["dropout"] = float(normal.dropout)
    return chosen


def _block(block: Block, path: str) -> dict[str, Value]:
    """Return the choices of a normalised block: its family, and its branches or every setting of the family."""
    settings: dict[str, Value] = {FAMILY: block.family}
    if block.branches:
        for branch in block.branches:
            settings |= {f"{branch.name}.{name}": value for name, value in branch_choices(branch).items()}
    else:
        settings |= {**family(block.family).targets(block, 1), **dict(block.settings)}
    return {f"{path}.{name}": value for name, value in settings.items()}


def differences(before: Architecture, after: Architecture) -> tuple[Change, ...]:
    """Return the changes that make the second architecture out of the first; none if their normal forms are equal."""
    return changes_between(choices_of(before), choices_of(after))


def changes_between(before: Mapping[str, Value], after: Mapping[str, Value]) -> tuple[Change, ...]:
    """Return the changes between two architectures that are given by their choices."""
    parts = (_prefixes(before), _prefixes(after))
    foreign = _foreign_blocks(before, after)
    found: dict[str, Change] = {}
    for path in dict.fromkeys((*before, *after)):
        block = next((block for block in foreign if path.startswith(f"{block}.")), None)
        if block is not None:
            found[block] = Change(block, _part(before, block), _part(after, block))
        elif path not in after:
            part = _own_part(path, parts[1])
            found[part] = Change(part, _value(before, part), None)
        elif path not in before:
            part = _own_part(path, parts[0])
            found[part] = Change(part, None, _value(after, part))
        elif before[path] != after[path]:
            found[path] = Change(path, before[path], after[path])
    return tuple(sorted(found.values(), key=lambda change: position(change.path)))


def position(path: str) -> tuple[int, int]:
    """Return where a choice stands in a network: its stage and its block, in front of them, or behind all stages."""
    if path == "dropout":
        return (MOST_STAGES, 0)
    found = POSITION.match(path)
    return (int(found[1]), int(found[2] or -1)) if found else (-1, 0)


def _foreign_blocks(before: Mapping[str, Value], after: Mapping[str, Value]) -> list[str]:
    """Return the paths of the blocks that are of another family."""
    both = (path for path in before if path.endswith(f".{FAMILY}") and path in after)
    return [path.rpartition(".")[0] for path in both if before[path] != after[path]]


def _prefixes(paths: Iterable[str]) -> set[str]:
    """Return every path and every path of a part that holds one."""
    steps = [path.split(".") for path in paths]
    return {".".join(step[:count]) for step in steps for count in range(1, len(step) + 1)}


def _own_part(path: str, others: set[str]) -> str:
    """Return the path of the largest part around a choice that is not among the parts of the other architecture."""
    steps = path.split(".")
    parts = (".".join(steps[:count]) for count in range(1, len(steps) + 1))
    return next((part for part in parts if part not in others), path)


def _value(choices: Mapping[str, Value], path: str) -> Value | Part:
    return choices[path] if path in choices else _part(choices, path)


def _part(choices: Mapping[str, Value], path: str) -> Part:
    head = f"{path}."
    return tuple((key.removeprefix(head), value) for key, value in choices.items() if key.startswith(head))


def apply(changes: Iterable[Change], choices: Mapping[str, Value]) -> dict[str, Value]:
    """Return the choices after changes.

    Raises:
        ValueError: a change starts from another value than that of the choices.
    """
    changed = dict(choices)
    for change in changes:
        for path, value in _leaves(change.path, change.before):
            if path not in changed or changed[path] != value:
                raise ValueError(f"a change must start from {value!r}, got {changed.get(path)!r} at {path}")
            del changed[path]
        changed |= _leaves(change.path, change.after)
    return changed


def _leaves(path: str, value: Value | Part | None) -> list[tuple[str, Value]]:
    if value is None:
        return []
    return [(f"{path}.{inner}", choice) for inner, choice in value] if isinstance(value, tuple) else [(path, value)]
