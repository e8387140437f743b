"""Plug-ins of a room: one module each, found by its name, so that deleting one is deleting its file and its YAML."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any

MAKER = "make"


def make_plugin(room: str, name: str, key: str, subject: object, options: Mapping[str, Any]) -> Any:
    """What the module `name` of a room makes of `subject`, by its function `make(subject, **options)`.

    Args:
        room: the package, such as `nas.fidelity`.
        name: the module in it.
        key: what names the module in a configuration; stands in errors.
        subject: what every plug-in of the room is made for.
        options: the plug-in's own settings.

    Raises:
        ValueError: the room has no such plug-in, or it takes no such option.
    """
    maker = _maker(room, name)
    if maker is None:
        raise ValueError(f"{key} must be one of {', '.join(plugins(room))}, got {name!r}")
    known = list(inspect.signature(maker).parameters)[1:]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"{name} takes {known}, got {unknown}")
    return maker(subject, **options)


def plugins(room: str) -> list[str]:
    """Names of the modules of a room that make something."""
    names = [module.name for module in pkgutil.iter_modules(import_module(room).__path__)]
    return sorted(name for name in names if _maker(room, name) is not None)


def _maker(room: str, name: str) -> Any:
    if not name.isidentifier() or name not in {m.name for m in pkgutil.iter_modules(import_module(room).__path__)}:
        return None
    return getattr(import_module(f"{room}.{name}"), MAKER, None)
