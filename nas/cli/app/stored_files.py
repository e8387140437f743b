"""Files that a search left in a study's folder, read for what they are worth: what is damaged is named and left out."""

from __future__ import annotations

import dataclasses
import json
import logging
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nas.cli.app.compose import by_name, items_of, read_yaml, schema, selections_of
from nas.cli.app.replay import search_command
from nas.config.commands import SearchConfig
from nas.study.checked import DamageError, mapping, shown

if TYPE_CHECKING:
    from nas.study.study import Study

LARGEST_FILE = 2**22
"""Bytes of the largest file that is read; those of a search have some thousand."""

UNREADABLE = (OSError, ValueError, RecursionError, OmegaConfBaseException)

log = logging.getLogger(__name__)


def stored_settings(study: Study) -> dict[str, Any]:
    """Return the settings of the latest search of a study: those in its folder, else those in the study itself.

    Keys that this version does not know and values of another type are left out with one line. Empty for a study of an
    older version that is read without its folder.
    """
    return known_settings(_settings(study), f"the settings of {study.name}")


def _settings(study: Study) -> Mapping[str, Any]:
    path = study.folder / "config.yaml"
    try:
        _check_size(path)
        found = read_yaml(path)
    except UNREADABLE as error:
        log.warning("%s is damaged, the settings stored in the study count: %s", path, one_line(error))
        found = {}
    return found or study.attribute("config") or {}


def stored_environment(study: Study) -> dict[str, Any]:
    """Return machine and versions of the latest search of a study, found as its settings are."""
    path = study.folder / "environment.json"
    try:
        _check_size(path)
        return _environment(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        pass
    except UNREADABLE as error:
        log.warning("%s is damaged, what is stored in the study counts: %s", path, one_line(error))
    try:
        return _environment(study.attribute("environment") or {})
    except DamageError as error:
        log.warning("the environment of %s is damaged and left out: %s", study.name, error)
        return {}


def _environment(document: object) -> dict[str, Any]:
    found = dict(mapping(document, "an environment"))
    if not isinstance(found.get("gpus", []), list) or not isinstance(found.get("packages", {}), dict):
        raise DamageError("an environment must have a list of gpus and packages by name")
    texts = [*found.get("gpus", []), *found.get("packages", {}).values()]
    texts += [value for key, value in found.items() if key not in ("gpus", "packages")]
    for value in texts:
        if value is not None and not isinstance(value, str | int):
            raise DamageError(f"an environment must hold texts and counts, got {shown(value)}")
    return found


def known_settings(stored: Mapping[Any, Any], label: str) -> dict[str, Any]:
    """Return the settings that this version knows; the others are logged, in one line.

    Args:
        stored: stored settings of a search.
        label: name of the settings in that line.
    """
    lost: list[str] = []
    known = {}
    hints = typing.get_type_hints(SearchConfig)
    for key, value in stored.items():
        if key not in hints:
            lost.append(f"{shown(key)} is unknown")
            continue
        try:
            known[key] = _section(key, hints[key], value, lost)
        except (OmegaConfBaseException, ValueError, TypeError, AttributeError) as error:
            lost.append(f"{key} is damaged ({one_line(error)[:80]})")
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        log.warning("%s are left out in part: %s%s", label, "; ".join(lost[:3]), more)
    return known


def _section(key: str, annotation: Any, value: Any, lost: list[str]) -> Any:
    """Return a setting without unknown keys, which are added to `lost`.

    Raises:
        ValueError: it is of another type; OmegaConf's own errors as well.
    """
    if any("${" in text for text in _texts(value)):
        raise ValueError("an interpolation stands where a search writes values")
    item = items_of(annotation)
    if dataclasses.is_dataclass(item):
        if not isinstance(value, list):
            raise ValueError(f"a list must stand there, got {shown(value)}")
        return [_fields(key, item, one, lost) for one in value]
    found = _fields(key, annotation, value, lost) if dataclasses.is_dataclass(annotation) else value
    composed = by_name(annotation, found) if dataclasses.is_dataclass(annotation) else found
    OmegaConf.merge(OmegaConf.structured(schema(SearchConfig)), {key: composed})
    return found


def _fields(key: str, spec: Any, value: Any, lost: list[str]) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(spec)}
    found = mapping(value, key)
    lost += [f"{key}.{shown(name)} is unknown" for name in found if name not in names]
    kept = {name: inner for name, inner in found.items() if name in names}
    name = kept.get("name", "")
    if not isinstance(name, str) or "/" in name or "\\" in name:
        raise ValueError(f"{key}.name must be a name, got {shown(name)}")
    if "name" in names and "name" not in kept:
        raise ValueError(f"{key} must have a name")
    for chosen, item in selections_of(spec).items():
        if chosen in kept and not isinstance(kept[chosen], list):
            raise ValueError(f"a list must stand at {key}.{chosen}, got {shown(kept[chosen])}")
        kept |= {chosen: [_fields(f"{key}.{chosen}", item, one, lost) for one in kept.get(chosen, ())]}
    OmegaConf.merge(OmegaConf.structured(schema(spec)), by_name(spec, kept))
    return kept


def stored_command(stored: Mapping[str, Any]) -> tuple[str | None, bool]:
    """Return the command of a search and whether it reproduces all of it; None if its settings make none here."""
    try:
        return search_command(stored)
    except (ValueError, TypeError, KeyError, AttributeError, OmegaConfBaseException) as error:
        log.warning("the command of the search can't be told from its settings: %s", one_line(error))
        return None, True


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _texts(name)
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _check_size(path: Path) -> None:
    """Refuse a file that no search wrote by its kind or size.

    Raises:
        ValueError: it is no file, or too large.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it must be a file")
    if path.exists() and path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"it must have at most {LARGEST_FILE} bytes, it has {path.stat().st_size}")


def one_line(error: BaseException) -> str:
    """Return an error as one line."""
    return " ".join(str(error).split()) or type(error).__name__
