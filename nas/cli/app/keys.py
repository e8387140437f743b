"""What may be set: the keys of a configuration class, their types and what their docstrings say."""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator
from typing import Any

from nas.cli.app.compose import items_of


def annotation_at(root: type, key: str) -> Any:
    """The annotation of the field at a dotted key, None where there is none or it is a free mapping's own key."""
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


def is_group(annotation: Any) -> bool:
    """Whether a field is a config group: a spec, several specs by name, or a free mapping."""
    return (
        dataclasses.is_dataclass(annotation)
        or dataclasses.is_dataclass(items_of(annotation))
        or typing.get_origin(annotation) is dict
    )


def is_free(root: type, key: str) -> bool:
    """Whether a dotted key is a free mapping, or lies in one."""
    parts = key.split(".")
    prefixes = (".".join(parts[: end + 1]) for end in range(len(parts)))
    return any(typing.get_origin(annotation_at(root, prefix)) is dict for prefix in prefixes)


def takes(annotation: Any, kind: type) -> bool:
    """Whether a field is of that plain type, or of that type or None."""
    return annotation is kind or kind in typing.get_args(annotation)


def known_keys(root: type) -> Iterator[str]:
    """Every dotted key of a configuration class, those inside mappings by name apart."""
    for name, annotation in typing.get_type_hints(root).items():
        yield name
        if dataclasses.is_dataclass(annotation):
            yield from (f"{name}.{key}" for key in known_keys(typing.cast(type, annotation)))


def documented(spec: type) -> dict[str, str]:
    """What the `Attributes:` of the docstrings of a class and its bases say, by field, each on one line."""
    found: dict[str, str] = {}
    for cls in reversed(spec.__mro__):
        section = re.search(r"\n    Attributes:\n(.*?)(\n\n|\Z)", cls.__dict__.get("__doc__") or "", re.DOTALL)
        for entry in re.split(r"\n(?= {8}\w)", section.group(1)) if section else []:
            name, _, text = entry.partition(":")
            found[name.strip()] = re.sub(r"\bNone\b", "null", " ".join(text.split()))
    return found
