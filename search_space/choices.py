"""Choices of a space: options under a path, the same in every trial, and the choosers that take one of them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, final

from search_space.limits import MOST_CHANNELS, MOST_OPTIONS, shown

Value = int | float | str
T = TypeVar("T")


class SpaceError(ValueError):
    """An invalid space, or an architecture that is not of a space; the message names the path."""


class Chooser(Protocol):
    """Source of the choices: a random generator, an Optuna trial, a recorded architecture."""

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """Return one of `options`, at least two integers in ascending order."""
        ...

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        """Return one of `options`, at least two values without an order."""
        ...


@final
@dataclass(frozen=True)
class Ordinal:
    """Ordered integers to choose from."""

    options: tuple[int, ...]

    def draw(self, chooser: Chooser, path: str) -> int:
        """Return one option; the chooser is not asked if there is only one."""
        return self.options[0] if len(self.options) == 1 else chooser.integer(path, self.options)


@final
@dataclass(frozen=True)
class Nominal:
    """Unordered values to choose from."""

    options: tuple[Value, ...]

    def draw(self, chooser: Chooser, path: str) -> Value:
        """Return one option; the chooser is not asked if there is only one."""
        return self.options[0] if len(self.options) == 1 else chooser.option(path, self.options)


Choice = Ordinal | Nominal


@final
@dataclass(frozen=True)
class Parameter:
    """One choice that a space may ask for: its path and its options."""

    path: str
    choice: Choice


def any_of(generator: random.Random, options: Sequence[T]) -> T:
    """Return one of `options`, each with the same probability: a faster `generator.choice`."""
    return options[int(generator.random() * len(options))]


def assigned(path: str, value: Value, options: tuple[Value, ...]) -> dict[str, Value]:
    """Return `value` under its path.

    Raises:
        SpaceError: the value is not among the options.
    """
    if value not in options:
        raise SpaceError(f"a choice must be one of {list(options)}, got {value!r} at {path}")
    return {path: value}


def parse_ordinal(value: object, path: str, *, least: int, most: int = MOST_CHANNELS) -> Ordinal:
    """Return the options of one integer, a list of ascending ones, or `{low, high, step}` with both ends included.

    Raises:
        SpaceError: the value has another form, an option is below `least` or above `most`, there are more options than
            `MOST_OPTIONS`, or they do not ascend.
    """
    if isinstance(value, Mapping):
        if set(value) - {"low", "high", "step"} or not {"low", "high"} <= set(value):
            raise SpaceError(
                f"a range must have low, high and perhaps step, got {shown(sorted(map(str, value)))} at {path}"
            )
        low, high, step = value["low"], value["high"], value.get("step", 1)
        if not all(_is_integer(n) for n in (low, high, step)) or step < 1 or high < low or (high - low) % step:
            raise SpaceError(
                "a range must go from low to high in whole steps, "
                f"got low={shown(low)} high={shown(high)} step={shown(step)} at {path}"
            )
        if (high - low) // step >= MOST_OPTIONS:
            count = shown((high - low) // step + 1)
            raise SpaceError(f"a choice must have at most {MOST_OPTIONS} options, got {count} at {path}")
        options: tuple[Any, ...] = tuple(range(low, high + 1, step))
    else:
        options = _listed(value, path)
    if not all(_is_integer(n) and n >= least for n in options):
        raise SpaceError(f"options must be integers >= {least}, got {shown(list(options))} at {path}")
    if options and max(options) > most:
        raise SpaceError(f"options must be integers <= {most}, got {shown(max(options))} at {path}")
    if list(options) != sorted(set(options)):
        raise SpaceError(f"options must ascend, got {shown(list(options))} at {path}")
    return Ordinal(options)


def parse_nominal(value: object, path: str, allowed: Sequence[str], *, ratios: bool = False) -> Nominal:
    """Return the options of one value or a list of them: words of `allowed` and, with `ratios`, numbers in (0, 1].

    Raises:
        SpaceError: an option is not allowed, or stands there twice.
    """
    options = _listed(value, path)
    for option in options:
        ratio = ratios and isinstance(option, int | float) and not isinstance(option, bool) and 0 < option <= 1
        if option not in allowed and not ratio:
            kinds = f"one of {list(allowed)}" + (" or a ratio in (0, 1]" if ratios else "")
            raise SpaceError(f"an option must be {kinds}, got {shown(option)} at {path}")
    if len(set(options)) != len(options):
        raise SpaceError(f"options must differ, got {shown(list(options))} at {path}")
    return Nominal(options)


def parse_fields(value: object, path: str, needed: Sequence[str], optional: Sequence[str] = ()) -> Mapping[str, Any]:
    """Return a value that must be a mapping with the `needed` keys and none but these and the `optional` ones.

    Raises:
        SpaceError: the value is no mapping, or a key is missing or unknown.
    """
    if not isinstance(value, Mapping):
        raise SpaceError(f"a mapping must stand at {path}, got {shown(value)}")
    missing = [key for key in needed if key not in value]
    unknown = [str(key) for key in value if key not in {*needed, *optional}]
    if missing or unknown:
        wrong = f"lacks {missing}" if missing else f"got also {shown(unknown)}"
        raise SpaceError(f"{path} must have {list(needed)} and may have {list(optional)}, {wrong}")
    return value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _listed(value: object, path: str) -> tuple[Any, ...]:
    options = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not options:
        raise SpaceError(f"at least one option must stand at {path}, got none")
    if len(options) > MOST_OPTIONS:
        raise SpaceError(f"a choice must have at most {MOST_OPTIONS} options, got {len(options)} at {path}")
    return options


@final
class RandomChooser:
    """Chooser that takes every option with the same probability."""

    def __init__(self, generator: random.Random) -> None:
        self._generator = generator

    def integer(self, path: str, options: tuple[int, ...]) -> int:  # noqa: ARG002 - the path plays no part
        """Return a random one of `options`."""
        return self._generator.choice(options)

    def option(self, path: str, options: tuple[Value, ...]) -> Value:  # noqa: ARG002 - the path plays no part
        """Return a random one of `options`."""
        return self._generator.choice(options)


@final
class ReplayChooser:
    """Chooser that repeats recorded choices, asks another chooser elsewhere, and notes every path with its options.

    Args:
        chosen: recorded choices by path.
        otherwise: chooser for paths that have no recorded choice.
    """

    def __init__(self, chosen: Mapping[str, Value], otherwise: Chooser) -> None:
        self._chosen = chosen
        self._otherwise = otherwise
        self.met: dict[str, tuple[Value, ...]] = {}

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """Return the recorded option."""
        self.met[path] = options
        return int(self._chosen[path]) if path in self._chosen else self._otherwise.integer(path, options)

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        """Return the recorded option."""
        self.met[path] = options
        return self._chosen[path] if path in self._chosen else self._otherwise.option(path, options)


@final
class FirstChooser:
    """Chooser that takes the first option of every choice."""

    def integer(self, path: str, options: tuple[int, ...]) -> int:  # noqa: ARG002 - the path plays no part
        """Return the least of `options`."""
        return options[0]

    def option(self, path: str, options: tuple[Value, ...]) -> Value:  # noqa: ARG002 - the path plays no part
        """Return the first of `options`."""
        return options[0]


@final
class CountingChooser:
    """Chooser that enumerates all combinations of choices, one a pass, the last choice changing fastest.

    The choices of a pass may depend on those before them. `begin` starts a pass, `advance` ends it.
    """

    def __init__(self) -> None:
        self._digits: list[int] = []
        self._bases: list[int] = []

    def begin(self) -> None:
        """Start a pass."""
        self._bases = []

    @property
    def count(self) -> int:
        """Number of choices of this pass."""
        return len(self._bases)

    def advance(self) -> bool:
        """Go on to the next combination; return whether there is one."""
        self._digits += [0] * (len(self._bases) - len(self._digits))
        while self._digits and self._digits[-1] == self._bases[len(self._digits) - 1] - 1:
            self._digits.pop()
        if not self._digits:
            return False
        self._digits[-1] += 1
        return True

    def integer(self, path: str, options: tuple[int, ...]) -> int:  # noqa: ARG002 - the order of the choices is enough
        """Return the option of this pass."""
        return options[self._next(len(options))]

    def option(self, path: str, options: tuple[Value, ...]) -> Value:  # noqa: ARG002 - the order of the choices is enough
        """Return the option of this pass."""
        return options[self._next(len(options))]

    def _next(self, base: int) -> int:
        self._bases.append(base)
        place = len(self._bases) - 1
        return self._digits[place] if place < len(self._digits) else 0
