"""Plug-ins: modules of ours, found by their name, and objects of a user's modules, found by their dotted path.

Every kind of plug-in (block, cost, objective, sampler, fidelity, data source, augmentation, tracker, executor, export
format) is found by the same rule. A name without a dot is a module of the kind's room, whose object stands under the
kind's attribute, such as `make`; deleting one is deleting its file and its YAML. A name with a dot, such as
`my_samplers.greedy.make`, is the path of an object in a module that can be imported.

A dotted path in a configuration is trusted, since the user wrote it. One in a stored document, such as an architecture
of a study from elsewhere, is not: it is imported only from modules that a configuration named before in this process
or its parents, or that the environment variable NAS_PLUGINS lists (top-level names, separated by commas).
"""

from __future__ import annotations

import inspect
import os
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from importlib import import_module
from typing import Any, TypeVar

TRUSTED = "NAS_PLUGINS"
DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


Settings = TypeVar("Settings")
Made = TypeVar("Made")

LARGEST_OPTION = 1_000_000
"""Largest magnitude of a number among the options of a plug-in of ours."""

MOST_ITEMS = 1000
"""Most items of a list among those options."""


class PluginError(ValueError):
    """A name without a plug-in, or a plug-in that can't be used."""


@dataclass(frozen=True)
class PluginKind:
    """A kind of plug-in.

    Attributes:
        key: configuration key that names a plug-in of this kind; stands in errors.
        room: package of our own plug-ins, such as `nas.fidelity`; each is a module of it.
        attribute: name of the plug-in in its module, such as `make`.
    """

    key: str
    room: str
    attribute: str

    def names(self) -> list[str]:
        """Return the names of our own plug-ins of this kind, in alphabetical order."""
        modules = pkgutil.iter_modules(import_module(self.room).__path__)
        return sorted(m.name for m in modules if hasattr(import_module(f"{self.room}.{m.name}"), self.attribute))

    def load(self, name: str, *, stored: bool = False) -> Any:
        """Return the plug-in of that name.

        Args:
            name: a module of the room, or a dotted path.
            stored: whether the name stands in a stored document, so that a dotted path must be trusted already.

        Raises:
            PluginError: there is no such plug-in.
        """
        if name.isidentifier() and name in {m.name for m in pkgutil.iter_modules(import_module(self.room).__path__)}:
            found = getattr(import_module(f"{self.room}.{name}"), self.attribute, None)
            if found is not None:
                return found
        if DOTTED.fullmatch(name):
            return load_dotted(name, self.key, stored=stored)
        raise PluginError(
            f"{self.key} must be one of {', '.join(self.names())}, or a dotted path such as "
            f"my_module.{self.attribute}, got {name!r}"
        )

    def bind(self, name: str, options: Mapping[str, Any], *, arguments: int = 1) -> Callable[..., Any]:
        """Return the callable plug-in of that name with its options bound.

        Args:
            name: a module of the room, or a dotted path.
            options: keyword arguments for the plug-in's own parameters.
            arguments: number of leading parameters that the caller passes, at least 1; the rest are options.

        Raises:
            PluginError: there is no such plug-in, or it takes no such option.
        """
        maker = self.load(name)
        if not callable(maker):
            raise PluginError(f"{self.key} must name something that can be called, got {name!r}")
        known = list(inspect.signature(maker).parameters)[arguments:]
        unknown = sorted(set(options) - set(known))
        if unknown:
            raise PluginError(f"{name} takes {known}, got {unknown}")
        if name.isidentifier():  # one of ours; a plug-in of somebody else's checks its own
            defaults = defaults_of(inspect.signature(maker).parameters.values())
            for option, value in options.items():
                check_option(f"option {option} of {name}", value, defaults.get(option))
        return partial(maker, **options)

    def defaults(self, name: str) -> dict[str, Any]:
        """Return the default values of a plug-in's options, by name.

        Raises:
            PluginError: there is no such plug-in.
        """
        return defaults_of(list(inspect.signature(self.load(name)).parameters.values())[1:])

    def make(self, name: str, subject: object, options: Mapping[str, Any]) -> Any:
        """Call the plug-in of that name with `subject` and its options.

        Raises:
            PluginError: there is no such plug-in, or it takes no such option.
        """
        return self.bind(name, options)(subject)


def defaults_of(parameters: Iterable[inspect.Parameter]) -> dict[str, Any]:
    """Return the default values of those parameters that have one, by name."""
    return {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}


def check_option(place: str, value: object, default: object) -> None:
    """Refuse an option of another kind than its default, or a number beyond `LARGEST_OPTION`.

    Args:
        place: the option's name, for the error.
        value: the option.
        default: its default value; None or text says nothing about the kind.

    Raises:
        PluginError: such an option.
    """
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or len(value) > MOST_ITEMS:
            raise PluginError(f"{place} must be a list of at most {MOST_ITEMS} numbers, got {str(value)[:60]}")
        for item in value:
            check_option(place, item, default[0] if default else None)
    elif isinstance(default, bool):
        if not isinstance(value, bool):
            raise PluginError(f"{place} must be true or false, got {str(value)[:60]}")
    elif isinstance(default, int | float):
        _check_number(place, value, whole=isinstance(default, int))


def _check_number(place: str, value: object, *, whole: bool) -> None:
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        law = "a whole number" if whole else "a number"
        raise PluginError(f"{place} must be {law}, got {str(value)[:60]!r}")
    if not abs(value) <= LARGEST_OPTION:
        raise PluginError(f"{place} must lie between -{LARGEST_OPTION} and {LARGEST_OPTION}, got {value:.6g}")


def with_settings(
    settings: Callable[..., Settings],
) -> Callable[[Callable[[Any, Settings], Made]], Callable[..., Made]]:
    """Return a decorator that makes `make(subject, settings)` take the fields of `settings` as keyword arguments.

    So a plug-in's options, their defaults and their checks stand once, in a dataclass.

    Args:
        settings: dataclass of the plug-in's options.

    >>> @dataclass(frozen=True)
    ... class Options:
    ...     size: int = 3
    >>> @with_settings(Options)
    ... def make(subject, options):
    ...     return subject * options.size
    >>> make("ab", size=2), str(inspect.signature(make))
    ('abab', "(subject, *, size: 'int' = 3)")
    """

    def decorate(make: Callable[[Any, Settings], Made]) -> Callable[..., Made]:
        @wraps(make)
        def made(subject: Any, /, **options: Any) -> Made:
            return make(subject, settings(**options))

        fields = inspect.signature(settings).parameters.values()
        keywords = [field.replace(kind=inspect.Parameter.KEYWORD_ONLY) for field in fields]
        subject, _ = inspect.signature(make).parameters.values()
        made.__signature__ = inspect.Signature([subject, *keywords])  # type: ignore[attr-defined]
        return made

    return decorate


def load_dotted(path: str, key: str, *, stored: bool = False) -> Any:
    """Return the object at a dotted path, `package.module.name`.

    Args:
        path: at least two identifiers joined by dots: a module and a name in it.
        key: configuration key or place that names it; stands in errors.
        stored: whether the path stands in a stored document, so that it must be trusted already.

    Raises:
        PluginError: the module is not trusted or can't be imported, or has no such name.
    """
    module_name, _, attribute = path.rpartition(".")
    if stored and not is_trusted(module_name):
        raise PluginError(
            f"{key} names {path!r}, code from outside this program; if you trust it, give its folder as --config-dir, "
            f"or set {TRUSTED}={module_name.partition('.')[0]} in the environment"
        )
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise PluginError(f"{key} must be importable, got {path!r}: {error}") from error
    if not hasattr(module, attribute):
        raise PluginError(f"{key} must name something in its module, {module_name} has no {attribute!r}")
    trust(module_name)
    return getattr(module, attribute)


def trust(module: str) -> None:
    """Let stored documents name plug-ins of a module, in this process and in those that it starts."""
    top = module.partition(".")[0]
    if not is_trusted(module):
        os.environ[TRUSTED] = ",".join([*trusted_modules(), top])


def is_trusted(module: str) -> bool:
    """Return whether stored documents may name plug-ins of a module."""
    return module.partition(".")[0] in trusted_modules()


def trusted_modules() -> list[str]:
    """Return the top-level modules whose plug-ins stored documents may name."""
    return [name.strip() for name in os.environ.get(TRUSTED, "").split(",") if name.strip()]
