"""What a space may choose from, and who chooses: one list of options a path, the same in every trial."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, final

Value = int | float | str
T = TypeVar("T")


class SpaceError(ValueError):
    """A space that cannot be, or an architecture that is not of it; the message names the path."""


class Chooser(Protocol):
    """Whoever makes the choices: a random generator, an Optuna trial, a recorded architecture."""

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """One of `options`, which stand in ascending order and are at least two."""
        ...

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        """One of `options`, which have no order and are at least two."""
        ...


@final
@dataclass(frozen=True)
class Ordinal:
    """Ordered integers to choose from."""

    options: tuple[int, ...]

    def draw(self, chooser: Chooser, path: str) -> int:
        """One option; where there is only one, nobody is asked."""
        return self.options[0] if len(self.options) == 1 else chooser.integer(path, self.options)


@final
@dataclass(frozen=True)
class Nominal:
    """Unordered values to choose from."""

    options: tuple[Value, ...]

    def draw(self, chooser: Chooser, path: str) -> Value:
        """One option; where there is only one, nobody is asked."""
        return self.options[0] if len(self.options) == 1 else chooser.option(path, self.options)


Choice = Ordinal | Nominal


@final
@dataclass(frozen=True)
class Parameter:
    """One choice that a space may ask for: where, and among what."""

    path: str
    choice: Choice


def any_of(generator: random.Random, options: Sequence[T]) -> T:
    """One of `options`, each with the same chance: `generator.choice` without its detours."""
    return options[int(generator.random() * len(options))]


def assigned(path: str, value: Value, options: tuple[Value, ...]) -> dict[str, Value]:
    """`value` under its path.

    Raises:
        SpaceError: it is not among the options.
    """
    if value not in options:
        raise SpaceError(f"a choice must be one of {list(options)}, got {value!r} at {path}")
    return {path: value}


def parse_ordinal(value: object, path: str, *, least: int) -> Ordinal:
    """Options from one integer, a list of them, or `{low, high, step}` with both ends in.

    Raises:
        SpaceError: another form, an option below `least`, or the same one twice.
    """
    if isinstance(value, Mapping):
        if set(value) - {"low", "high", "step"} or not {"low", "high"} <= set(value):
            raise SpaceError(f"a range must have low, high and perhaps step, got {sorted(map(str, value))} at {path}")
        low, high, step = value["low"], value["high"], value.get("step", 1)
        if not all(_is_integer(n) for n in (low, high, step)) or step < 1 or high < low or (high - low) % step:
            raise SpaceError(
                f"a range must go from low to high in whole steps, got low={low} high={high} step={step} at {path}"
            )
        options: tuple[Any, ...] = tuple(range(low, high + 1, step))
    else:
        options = _listed(value, path)
    if not all(_is_integer(n) and n >= least for n in options):
        raise SpaceError(f"options must be integers >= {least}, got {list(options)} at {path}")
    if list(options) != sorted(set(options)):
        raise SpaceError(f"options must ascend, got {list(options)} at {path}")
    return Ordinal(options)


def parse_nominal(value: object, path: str, allowed: Sequence[str], *, ratios: bool = False) -> Nominal:
    """Options from one value or a list of them: words out of `allowed` and, with `ratios`, numbers in (0, 1].

    Raises:
        SpaceError: an option that is not allowed, or the same one twice.
    """
    options = _listed(value, path)
    for option in options:
        ratio = ratios and isinstance(option, int | float) and not isinstance(option, bool) and 0 < option <= 1
        if option not in allowed and not ratio:
            kinds = f"one of {list(allowed)}" + (" or a ratio in (0, 1]" if ratios else "")
            raise SpaceError(f"an option must be {kinds}, got {option!r} at {path}")
    if len(set(options)) != len(options):
        raise SpaceError(f"options must differ, got {list(options)} at {path}")
    return Nominal(options)


def parse_fields(value: object, path: str, needed: Sequence[str], optional: Sequence[str] = ()) -> Mapping[str, Any]:
    """A mapping with the `needed` keys, perhaps the `optional` ones, and no others.

    Raises:
        SpaceError: no mapping, or a key is missing or unknown.
    """
    if not isinstance(value, Mapping):
        raise SpaceError(f"a mapping must stand at {path}, got {value!r}")
    missing = [key for key in needed if key not in value]
    unknown = [str(key) for key in value if key not in {*needed, *optional}]
    if missing or unknown:
        wrong = f"lacks {missing}" if missing else f"got also {unknown}"
        raise SpaceError(f"{path} must have {list(needed)} and may have {list(optional)}, {wrong}")
    return value


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _listed(value: object, path: str) -> tuple[Any, ...]:
    options = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not options:
        raise SpaceError(f"at least one option must stand at {path}, got none")
    return options


@final
class RandomChooser:
    """Every option with the same chance."""

    def __init__(self, generator: random.Random) -> None:
        self._generator = generator

    def integer(self, path: str, options: tuple[int, ...]) -> int:  # noqa: ARG002 - the path plays no part
        """One of `options`."""
        return self._generator.choice(options)

    def option(self, path: str, options: tuple[Value, ...]) -> Value:  # noqa: ARG002 - the path plays no part
        """One of `options`."""
        return self._generator.choice(options)


@final
class ReplayChooser:
    """What was chosen before, and `otherwise` for a path that was not met then; notes every path with its options."""

    def __init__(self, chosen: Mapping[str, Value], otherwise: Chooser) -> None:
        self._chosen = chosen
        self._otherwise = otherwise
        self.met: dict[str, tuple[Value, ...]] = {}

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        """The recorded option."""
        self.met[path] = options
        return int(self._chosen[path]) if path in self._chosen else self._otherwise.integer(path, options)

    def option(self, path: str, options: tuple[Value, ...]) -> Value:
        """The recorded option."""
        self.met[path] = options
        return self._chosen[path] if path in self._chosen else self._otherwise.option(path, options)


@final
class FirstChooser:
    """The first option everywhere."""

    def integer(self, path: str, options: tuple[int, ...]) -> int:  # noqa: ARG002 - the path plays no part
        """The least of `options`."""
        return options[0]

    def option(self, path: str, options: tuple[Value, ...]) -> Value:  # noqa: ARG002 - the path plays no part
        """The first of `options`."""
        return options[0]


@final
class CountingChooser:
    """Goes through all ways to choose, one a pass, like the wheels of a counter: the last choice turns fastest.

    Which choices a pass meets may hang on the ones before them. `begin` starts a pass, `advance` ends it.
    """

    def __init__(self) -> None:
        self._wheels: list[int] = []
        self._sides: list[int] = []

    def begin(self) -> None:
        """Start a pass."""
        self._sides = []

    def advance(self) -> bool:
        """Turn to the next way; whether there is one."""
        self._wheels += [0] * (len(self._sides) - len(self._wheels))
        while self._wheels and self._wheels[-1] == self._sides[len(self._wheels) - 1] - 1:
            self._wheels.pop()
        if not self._wheels:
            return False
        self._wheels[-1] += 1
        return True

    def integer(self, path: str, options: tuple[int, ...]) -> int:  # noqa: ARG002 - the order of the choices is enough
        """The option of this pass."""
        return options[self._turn(len(options))]

    def option(self, path: str, options: tuple[Value, ...]) -> Value:  # noqa: ARG002 - the order of the choices is enough
        """The option of this pass."""
        return options[self._turn(len(options))]

    def _turn(self, sides: int) -> int:
        self._sides.append(sides)
        turn = len(self._sides) - 1
        return self._wheels[turn] if turn < len(self._wheels) else 0
