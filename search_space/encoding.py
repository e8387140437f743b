"""Encoding of architectures for a surrogate: one vector of fixed length a space, choices not made masked by zeros."""

from __future__ import annotations

from collections.abc import Iterator

from search_space.architecture import Architecture
from search_space.choices import Ordinal, Parameter, Value
from search_space.space import Space


def columns(space: Space) -> tuple[str, ...]:
    """Return the names of an encoding's columns, in order.

    An ordered choice has two columns, `PATH?` (1 if it is made) and `PATH` (its option); an unordered one has a column
    for every option, `PATH=OPTION`.
    """
    names: list[str] = []
    for parameter in space.parameters:
        if isinstance(parameter.choice, Ordinal):
            names += [f"{parameter.path}?", parameter.path]
        else:
            names += [f"{parameter.path}={option}" for option in parameter.choice.options]
    return tuple(names)


def encode(space: Space, architecture: Architecture) -> tuple[float, ...]:
    """Return the encoding of a normalised architecture of a space: a number in [0, 1] for each of `columns`.

    An ordered choice is scaled from the least option (0) to the largest (1), an unordered one is one-hot. A choice that
    is not made, as that of a block beyond the depth or of an absent branch, is zero in all its columns. Different
    architectures have different encodings.

    Raises:
        SpaceError: a choice of the architecture is not of this space.
    """
    chosen = space.choices(architecture)
    return tuple(number for parameter in space.parameters for number in _numbers(parameter, chosen.get(parameter.path)))


def _numbers(parameter: Parameter, value: Value | None) -> Iterator[float]:
    options = parameter.choice.options
    if not isinstance(parameter.choice, Ordinal):
        yield from (float(option == value) for option in options)
    elif value is None:
        yield from (0.0, 0.0)
    else:
        low, high = parameter.choice.options[0], parameter.choice.options[-1]
        yield from (1.0, (float(value) - low) / (high - low))
