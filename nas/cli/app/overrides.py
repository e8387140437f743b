"""Translation of typed overrides to Hydra's grammar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from nas.cli.app.bounds import check_sweep, check_words
from nas.cli.app.compose import items_of
from nas.cli.app.keys import annotation_at, is_free, is_group, takes

PRIOR = "prior.choices"
LISTS = ("files", "images", "studies")
"""Keys of lists whose items may stand on the command line as words of their own."""


def fit(words: Sequence[str], root: type, *, multirun: bool = False) -> list[str]:
    """Translate overrides so that Hydra reads them as the types of their fields demand.

    * A value that is invalid in the grammar (a URL with `=`, a path with brackets) is quoted.
    * So is a value of a text field that the grammar reads as another type: `study=2024_01` is not a number and, except
      in a sweep, `outputs=a,b` is not a list. Except in a sweep, `objective=a,b` is a list.
    * A whole number in exponent form is written as an integer for an integer field.
    * A limit may be on a cost that no option of `limits` names.
    * Weights of a prior may be of choices that no option of `prior` names.
    * A list in a free mapping replaces the present value, as Hydra cannot merge a list into a mapping.

    Every other override is unchanged, also one that quoting does not make valid.

    Raises:
        ValueError: an override is too long or too deep, a sweep has too many runs, or a group is set to a list of
            other things than names.

    Args:
        words: overrides as typed.
        root: the configuration class of the command.
        multirun: whether commas make a sweep.
    """
    check_words(words)
    parser = OverridesParser.create()
    if multirun:
        check_sweep([override for word in words if (override := _parsed(parser, word)) is not None])
    return [fitted for word in words for fitted in _fit(word, root, parser, multirun)]


def with_words(words: Sequence[str], root: type) -> list[str]:
    """Return overrides with the words that have no key as items of the list that the command takes, one of `LISTS`.

    Args:
        words: overrides and words as typed.
        root: the configuration class of the command.
    """
    plain = [word for word in words if "=" not in word]
    fields = root.__dataclass_fields__  # type: ignore[attr-defined]  # of a dataclass
    name = next((name for name in LISTS if name in fields), None)
    if not plain or name is None:
        return list(words)
    return [*(word for word in words if "=" in word), f"{name}=[{','.join(map(quoted, plain))}]"]


def quoted(text: str) -> str:
    r"""Return the text in single quotes and escaped for Hydra's grammar.

    >>> print(quoted("it's [1]"))
    'it\'s [1]'
    """
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    tail = len(escaped) - len(escaped.rstrip("\\"))
    return "'" + escaped + "\\" * tail + "'"


def _fit(word: str, root: type, parser: OverridesParser, multirun: bool) -> list[str]:
    key, equals, typed = word.partition("=")
    if not equals:
        return [word]
    if re.match(r"\+\w+\.", key) and is_free(root, key[1:]):
        key, word = f"+{key}", f"+{word}"
    override = _parsed(parser, word)
    as_text = f"{key}={quoted(typed)}"
    if override is None:
        return [word if _parsed(parser, as_text) is None else as_text]
    annotation = annotation_at(root, key.lstrip("+"))
    if key.startswith("limits.") and is_free(root, key) and not override.is_sweep_override():
        return [_limit(key, override.value(), typed)]
    if override.is_sweep_override():
        return [word if multirun else _without_commas(word, annotation, as_text)]
    value = override.value()
    if _is_no_name(key, annotation, value):
        raise ValueError(f"{key} must be the name of an option, or a list of names, got {typed[:60]}")
    if _misread(annotation, value):
        return [as_text]
    if items_of(annotation) is str and isinstance(value, str):
        return [f"{key}=[{value}]"]
    if takes(annotation, int) and isinstance(value, float) and value.is_integer():
        return [f"{key}={int(value)}"]
    return _in_free_mapping(key, value, word) if is_free(root, key) else [word]


def _in_free_mapping(key: str, value: Any, word: str) -> list[str]:
    """Return the overrides for a value in a free mapping: a mapping for the prior adds to it, a list replaces."""
    if isinstance(value, dict) and key == PRIOR:
        return [f"+{word}"]
    if isinstance(value, list) and key[0].isalpha() and "." in key:
        return [f"~{key}", f"+{word}"]
    return [word]


def _limit(key: str, value: Any, typed: str) -> str:
    """Return the override of a limit, which may be on a cost that no file of the group names."""
    spelt_out = int(value) if isinstance(value, float) and value.is_integer() else typed
    return f"++{key}={spelt_out}"


def _without_commas(word: str, annotation: Any, as_text: str) -> str:
    key, _, typed = word.partition("=")
    if items_of(annotation) is not None:
        return f"{key}=[{typed}]"
    return as_text if takes(annotation, str) else word


def _misread(annotation: Any, value: Any) -> bool:
    """Return whether the value of a text field or of a group was parsed as another type."""
    if is_group(annotation):
        return value is None or isinstance(value, bool | int | float)
    if items_of(annotation) is None and takes(annotation, str) and isinstance(value, list | dict):
        return True
    return takes(annotation, str) and isinstance(value, bool | int | float) and not takes(annotation, type(value))


def _is_no_name(key: str, annotation: Any, value: Any) -> bool:
    """Return whether a list that is set to a whole group has an item that can't be the name of an option."""
    if not isinstance(value, list) or not key.isidentifier() or items_of(annotation) is str:
        return False
    return (annotation is None or is_group(annotation)) and not all(isinstance(item, str) for item in value)


def _parsed(parser: OverridesParser, word: str) -> Override | None:
    try:
        return parser.parse_override(word)
    except HydraException:
        return None
    except (RecursionError, ValueError) as error:  # such as an integer of more digits than Python converts
        raise ValueError(
            f"{word.partition('=')[0][:60]} must be a value that can be read, it is not: {error}"
        ) from None
