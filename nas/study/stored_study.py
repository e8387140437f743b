"""Stored attributes of a study to values: each is checked where it is read."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import optuna
from optuna.exceptions import ExperimentalWarning

from nas.objectives.pareto import Axis
from nas.study.checked import LARGEST_COUNT, DamageError, items, mapping, or_reason, real, shown, text, truth, whole
from nas.study.stored_trial import counts_of, rejected_of

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

_REPEAT = re.compile(r"repeat:(?P<trial>\d{1,18}):(?P<index>\d{1,18})", re.ASCII)
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
        _check_images(found.get("space", {}), found.get("data", {}))
    except DamageError as error:
        raise ValueError(f"{label} is damaged: {error}") from None
    return found


def _check_images(space: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Refuse a fingerprint whose images are none, where it describes them.

    Raises:
        DamageError: it does.
    """
    extents = items(space.get("input", [1, 1, 1]), "fingerprint.space.input")
    if len(extents) != 3:
        raise DamageError(f"fingerprint.space.input must be [channels, height, width], got {shown(extents)}")
    for extent in extents:
        whole(extent, "fingerprint.space.input", 1, LARGEST_COUNT)
    whole(space.get("classes", 2), "fingerprint.space.classes", 2, LARGEST_COUNT)
    for name in ("train_fraction", "val_fraction"):
        real(data.get(name, 1), f"fingerprint.data.{name}", 0, 1)


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


def repeat_documents(stored: Mapping[str, Any]) -> dict[int, list[tuple[int, object]]]:
    """Return the documents of repeats with their indices, in their order, by the trial's number.

    Args:
        stored: the attributes of the study.
    """
    named = [match for key in stored if (match := _REPEAT.fullmatch(key))]
    found: dict[int, list[tuple[int, object]]] = {}
    for match in sorted(named, key=lambda match: int(match["index"])):
        document = or_reason(stored, match[0])  # a reason is no repeat, and is shown as what was found
        found.setdefault(int(match["trial"]), []).append((int(match["index"]), document))
    return found


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


def create_optuna_study(storage: BaseStorage, name: str, fingerprint: Mapping[str, Any]) -> None:
    """Create a study in Optuna's tables.

    Args:
        storage: Optuna's storage.
        name: name of the study.
        fingerprint: its fingerprint.
    """
    axes = fingerprint["objectives"]
    study = optuna.create_study(storage=storage, study_name=name, directions=[axis["direction"] for axis in axes])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names([axis["name"] for axis in axes])
    study.set_user_attr("fingerprint", fingerprint)
