"""Stored attributes of a study to values: each is checked where it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nas.objectives.pareto import Axis
from nas.study.checked import LARGEST_COUNT, DamageError, items, mapping, real, shown, text, truth, whole
from nas.study.stored_trial import counts_of, rejected_of

_AXIS = ("name", "direction", "log", "best", "worst")


def fingerprint_of(document: object, label: str) -> Mapping[str, Any]:
    """Return the fingerprint of a study.

    Args:
        document: the stored attribute, None if it is missing.
        label: name of the study in errors.

    Raises:
        ValueError: it is none.
    """
    try:
        found = mapping(document, "fingerprint")
        for key in ("space", "data", "training"):
            mapping(found.get(key, {}), f"fingerprint.{key}")
        items(found.get("objectives"), "fingerprint.objectives")
    except DamageError as error:
        raise ValueError(f"{label} is damaged: {error}") from None
    return found


def axes_of(fingerprint: Mapping[str, Any], label: str) -> tuple[Axis, ...]:
    """Return the objectives of a study, at least one.

    Args:
        fingerprint: its fingerprint.
        label: name of the study in errors.

    Raises:
        ValueError: they are damaged.
    """
    try:
        axes = tuple(map(_axis, fingerprint["objectives"]))
    except DamageError as error:
        raise ValueError(f"{label} is damaged: {error}") from None
    names = [axis.name for axis in axes]
    if not axes or len(set(names)) < len(names):
        raise ValueError(f"{label} is damaged: objectives must have different names, got {shown(names)}")
    return axes


def _axis(document: object) -> Axis:
    found = mapping(document, "an objective of the fingerprint")
    missing = [key for key in _AXIS if key not in found]
    if missing:
        raise DamageError(f"an objective of the fingerprint must have {', '.join(_AXIS)}, lacks {', '.join(missing)}")
    name = text(found["name"], "name of an objective")
    for end in ("best", "worst"):
        real(found[end], f"{end} of objective {name}")
    for flag in ("log", "error"):
        truth(found.get(flag, False), f"{flag} of objective {name}")
    if not isinstance(found.get("unit", ""), str):
        raise DamageError(f"unit of objective {name} must be a text, got {shown(found['unit'])}")
    try:
        return Axis(**found)
    except (TypeError, ValueError) as error:
        raise DamageError(f"objective {name} must be an axis: {error}") from None


def attribute_of(key: str, document: Any) -> Any:
    """Return an attribute of a study; one that is missing is None.

    Raises:
        DamageError: it is not what a search stores under this key.
    """
    if document is not None and key in _LAWS:
        _LAWS[key](document)
    return document


def _tail(document: object) -> None:
    found = mapping(document, "tail")
    whole(found.get("asks"), "tail.asks", 0, LARGEST_COUNT)
    counts_of(found.get("skipped"), "tail.skipped")
    rejected_of(found.get("rejected"))


def _config(document: object) -> None:
    found = mapping(document, "config")
    for objective in items(found.get("objective", []), "config.objective"):
        one = mapping(objective, "an objective of config")
        for key in ("name", "source", "key"):
            if not isinstance(one.get(key, ""), str):
                raise DamageError(f"{key} of an objective of config must be a text, got {shown(one[key])}")
        if one.get("source") == "cost" and not {"name", "key"} <= one.keys():
            raise DamageError(f"an objective of config must have name and key, got {shown(one)}")


def _budget(document: object) -> None:
    for key, value in mapping(document, "budget").items():
        if value is not None:
            real(value, f"budget.{key}", 0)


_LAWS: Mapping[str, Callable[[object], object]] = {
    "tail": _tail,
    "config": _config,
    "budget": _budget,
    "environment": lambda document: mapping(document, "environment"),
    "validation_images": lambda document: whole(document, "validation_images", 1, LARGEST_COUNT),
}
