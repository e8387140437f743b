"""How a published checkpoint's parameter names become ours: pairs of module names, kept beside each network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Rename = tuple[str, str]

# A convolution and its norm are `conv` and `bn` in the published modules, `conv` and `norm` in ours.
_PARTS = (("", ""), (".conv", ".conv"), (".bn", ".norm"))


def each(values: Iterable[object], *renames: Rename) -> tuple[Rename, ...]:
    """The renames once for each value, which stands for every `*` in both names.

    >>> each("ab", ("block_*.conv", "block*.k1"))
    (('block_a.conv', 'blocka.k1'), ('block_b.conv', 'blockb.k1'))
    """
    return tuple((theirs.replace("*", str(v)), ours.replace("*", str(v))) for v in values for theirs, ours in renames)


def chain(theirs: str, ours: str, names: Iterable[str]) -> tuple[Rename, ...]:
    """A published sequence, whose parts are numbered, and our names of them.

    >>> chain("branch1", "k3", ["reduce", "conv"])
    (('branch1.0', 'k3.reduce'), ('branch1.1', 'k3.conv'))
    """
    return tuple((f"{theirs}.{index}", f"{ours}.{name}") for index, name in enumerate(names))


def modules(layout: Iterable[Rename]) -> Iterator[Rename]:
    """Every module that a layout may mean: the named ones, and the convolution and norm inside of them."""
    for theirs, ours in layout:
        for their_part, our_part in _PARTS:
            yield theirs + their_part, ours + our_part
