"""Layouts of published checkpoints: pairs of a published module name and ours, kept beside each network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Rename = tuple[str, str]

# A convolution and its norm are `conv` and `bn` in the published modules, `conv` and `norm` in ours.
_PARTS = (("", ""), (".conv", ".conv"), (".bn", ".norm"))


def each(values: Iterable[object], *renames: Rename) -> tuple[Rename, ...]:
    """Return the renames once for each value, which replaces every `*` in both names.

    >>> each("ab", ("block_*.conv", "block*.k1"))
    (('block_a.conv', 'blocka.k1'), ('block_b.conv', 'blockb.k1'))
    """
    return tuple((theirs.replace("*", str(v)), ours.replace("*", str(v))) for v in values for theirs, ours in renames)


def chain(theirs: str, ours: str, names: Iterable[str]) -> tuple[Rename, ...]:
    """Return the renames of a published sequence, whose parts are numbered, to our names.

    >>> chain("branch1", "k3", ["reduce", "conv"])
    (('branch1.0', 'k3.reduce'), ('branch1.1', 'k3.conv'))
    """
    return tuple((f"{theirs}.{index}", f"{ours}.{name}") for index, name in enumerate(names))


def modules(layout: Iterable[Rename]) -> Iterator[Rename]:
    """Yield the renames of a layout and of the convolution and norm inside each of its modules."""
    for theirs, ours in layout:
        for their_part, our_part in _PARTS:
            yield theirs + their_part, ours + our_part
