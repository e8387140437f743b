"""Block families: the catalogue of our own, one module a publication, and families found by their dotted path.

A module of this package offers families by a mapping `FAMILIES`; adding one is adding its file, deleting one is
deleting its file. A family of your own is named in a space by its dotted path, and takes a class and a line:

    @dataclass(frozen=True, slots=True)
    class Bottleneck(BlockFields):
        reduce: int = width()
        out: int = width()

        def lower(self, channels: int, units: Units, name: str) -> Node:
            nodes = units.conv(self.reduce, 1, name="reduce"), units.conv(self.out, 3, name="conv")
            return Seq(nodes, name=name)

    BOTTLENECK = family_of(Bottleneck)  # family: my_blocks.BOTTLENECK, reduce: [8, 16], out: [32, 64]
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from search_space.blocks.family import SEARCHABLE, BlockDomain, Family
from search_space.blocks.fields import BlockFields, count, family_of, fraction, option, width
from search_space.blocks.units import Units
from search_space.choices import SpaceError
from search_space.plugins import DOTTED, PluginError, load_dotted

__all__ = [
    "SEARCHABLE",
    "BlockDomain",
    "BlockFields",
    "Family",
    "Units",
    "count",
    "families",
    "family",
    "family_of",
    "fraction",
    "option",
    "width",
]


@cache
def families() -> Mapping[str, Family]:
    """Return our own families by name, in the order of their modules."""
    found: dict[str, Family] = {}
    for name in sorted(module.name for module in pkgutil.iter_modules(__path__)):
        found |= getattr(import_module(f"{__name__}.{name}"), "FAMILIES", {})
    return found


def family(name: str, *, stored: bool = True, place: str = "") -> Family:
    """Return the family of that name.

    Args:
        name: one of `families()`, or the dotted path of a `Family`.
        stored: whether the name stands in a stored document, such as an architecture, and a dotted path must lead to
            a module that is trusted already.
        place: path of the name in its document; stands in errors.

    Raises:
        SpaceError: the name is neither one of ours nor a dotted path.
        PluginError: the dotted path is not trusted, can't be imported or leads to no `Family`.
    """
    known = families().get(name)
    if known is not None:
        return known
    where = f" at {place}" if place else ""
    if not DOTTED.fullmatch(name):
        raise SpaceError(
            f"a block family must be one of {sorted(families())}, or a dotted path such as my_blocks.BOTTLENECK, "
            f"got {name!r}{where}"
        )
    found = load_dotted(name, place or "a block family", stored=stored)
    if not isinstance(found, Family):
        raise PluginError(
            f"a block family must be a search_space.blocks.Family, as family_of returns, got {name!r}, "
            f"which is {found!r}{where}"
        )
    return found
