"""Checks of stored results of retrained networks, which may be damaged or come from somebody else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nas.config.commands.networks import TRAIN, WHOLE

SHARES = ("test_accuracy", "test_balanced_accuracy")
AVERAGED = ("test_accuracy", "test_balanced_accuracy", "val_accuracy")


def check_seed_result(result: Mapping[str, Any], folder: str) -> None:
    """Check the result of one seed.

    Args:
        result: the stored document.
        folder: name of its folder, which has the seed's number.

    Raises:
        ValueError: a value is missing, of another type or out of range.
    """
    _check(result, "seed", whole=True)
    if folder != f"seed{result['seed']}":
        raise ValueError(f"seed must be that of the folder {folder}, got {result['seed']}")
    if result.get("train_on", TRAIN) not in (TRAIN, WHOLE):
        raise ValueError(f"train_on must be {TRAIN} or {WHOLE}, got {result['train_on']!r:.60}")
    for name in SHARES:
        _check(result, name, most=1)
    _check(result, "val_accuracy", most=1, may_lack=result.get("train_on") == WHOLE)
    for name in ("epochs", "test_images"):
        _check(result, name, whole=True)
    _check(result, "test_loss")


def check_trial_result(result: Mapping[str, Any], folder: str) -> None:
    """Check the result of one trial.

    Args:
        result: the stored document.
        folder: name of its folder, the trial's number.

    Raises:
        ValueError: a value is missing, of another type or out of range.
    """
    _check(result, "trial", whole=True)
    if folder != str(result["trial"]):
        raise ValueError(f"trial must be that of the folder {folder}, got {result['trial']}")
    _check_network_result(result)


def check_baseline_result(result: Mapping[str, Any], folder: str) -> None:
    """Check the result of one baseline.

    Args:
        result: the stored document.
        folder: name of its folder, which begins with the baseline's name.

    Raises:
        ValueError: a value is missing, of another type or out of range.
    """
    _check_type(result, "baseline", str)
    if not folder.startswith(f"{result['baseline']}-"):
        raise ValueError(f"baseline must be that of the folder {folder}, got {result['baseline']!r:.60}")
    _check_network_result(result)


def _check_network_result(result: Mapping[str, Any]) -> None:
    for name in ("costs", "values", "training"):
        _check_type(result, name, Mapping)
    _check_type(result, "summary", str)
    _check_type(result, "seeds", list)
    for name in AVERAGED:
        _check_type(result, name, Mapping)
        _check(result[name], "n", whole=True)
        if result[name]["n"]:
            _check(result[name], "mean", most=1)
            _check(result[name], "sd", most=1, may_lack=True)
    _check(result["training"], "epochs", whole=True)
    for name in result["costs"]:
        _check(result["costs"], name)
    _check(result["values"], "val_accuracy", most=1, may_lack=True)


def _check_type(document: Mapping[str, Any], name: str, kind: type) -> None:
    if not isinstance(document.get(name), kind):
        raise ValueError(f"{name} must be {_TYPES[kind]}, got {document.get(name)!r:.60}")  # noqa: TRY004 - a file's fault


_TYPES: dict[Any, str] = {Mapping: "an object", str: "a text", list: "a list"}


def _check(
    document: Mapping[str, Any], name: str, *, most: float = math.inf, whole: bool = False, may_lack: bool = False
) -> None:
    value = document.get(name)
    if may_lack and value is None:
        return
    kinds = (int,) if whole else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool) or not 0 <= value <= min(most, 1e18):
        kind = "a whole number" if whole else "a number"
        above = "" if most == math.inf else f" and at most {most:g}"
        raise ValueError(f"{name} must be {kind} of at least 0{above}, got {value!r:.60}")
