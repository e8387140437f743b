"""Keys of a configuration class, their types, and their descriptions from its docstring."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

from nas.cli.app.compose import items_of, selections_of


@cache
def annotation_at(root: type, key: str) -> Any:
    """Return the annotation of the field at a dotted key, None for an unknown key or one inside a free mapping.

    A config group of several options that is a field of another group is set by its name alone.
    """
    for group in typing.get_type_hints(root).values():
        if key in selections_of(group):
            return types.GenericAlias(tuple, (selections_of(group)[key], ...))
    annotation: Any = root
    parts = key.split(".")
    while parts:
        if items_of(annotation) is not None:
            annotation = items_of(annotation)
            parts.pop(0)
        elif dataclasses.is_dataclass(annotation):
            annotation = typing.get_type_hints(annotation).get(parts.pop(0))
        else:
            return None
    return annotation


def inner_groups(root: type) -> dict[str, str]:
    """Return the config groups of several options that are fields of another group, with their paths."""
    groups = typing.get_type_hints(root).items()
    return {name: f"{group}.{name}" for group, annotation in groups for name in selections_of(annotation)}


def is_group(annotation: Any) -> bool:
    """Return whether a field is a config group: a dataclass, a tuple of dataclasses, or a free mapping."""
    return (
        dataclasses.is_dataclass(annotation)
        or dataclasses.is_dataclass(items_of(annotation))
        or typing.get_origin(annotation) is dict
    )


def is_free(root: type, key: str) -> bool:
    """Return whether a dotted key is a free mapping, or inside one."""
    parts = key.split(".")
    prefixes = (".".join(parts[: end + 1]) for end in range(len(parts)))
    return any(typing.get_origin(annotation_at(root, prefix)) is dict for prefix in prefixes)


def takes(annotation: Any, kind: type) -> bool:
    """Return whether a field is of type `kind`, or of a union with it."""
    return annotation is kind or kind in typing.get_args(annotation)


def known_keys(root: type) -> Iterator[str]:
    """Yield the dotted keys of a configuration class, except those inside mappings."""
    for name, annotation in typing.get_type_hints(root).items():
        yield name
        if dataclasses.is_dataclass(annotation):
            yield from (f"{name}.{key}" for key in known_keys(typing.cast(type, annotation)))


def documented(spec: type) -> dict[str, str]:
    """Return the `Attributes:` entries of the docstrings of a class and its bases, by field, each on one line."""
    found: dict[str, str] = {}
    for cls in reversed(spec.__mro__):
        section = re.search(r"\n    Attributes:\n(.*?)(\n\n|\Z)", cls.__dict__.get("__doc__") or "", re.DOTALL)
        for entry in re.split(r"\n(?= {8}\w)", section.group(1)) if section else []:
            name, _, text = entry.partition(":")
            found[name.strip()] = re.sub(r"\bNone\b", "null", " ".join(text.split()))
    return found
