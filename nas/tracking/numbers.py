"""Numbers of rows by the keys under which trackers without W&B's wildcards and axes record them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nas.tracking.recorder import Row


def trial_numbers(row: Row) -> dict[str, float]:
    """Return the numbers of an ended trial."""
    return {
        **{f"cost/{name}": value for name, value in row["costs"].items()},
        **{f"value/{name}": value for name, value in row["values"].items()},
        "training/seconds": row["seconds"],
    }


def study_numbers(row: Row) -> dict[str, float]:
    """Return the numbers of the study after an ended trial, those of best and knee among them."""
    so_far = row["so_far"]
    found = {
        "trial": row["trial"],
        "compute_seconds": so_far["compute_seconds"],
        "clock_seconds": so_far["clock_seconds"],
        **{f"count/{name}": count for name, count in so_far["counts"].items()},
    }
    return found if so_far["front"] is None else found | end_numbers(so_far)


def end_numbers(standing: Mapping[str, Any]) -> dict[str, float]:
    """Return hypervolume and size of a front, and the numbers of its best and knee."""
    found = {"hypervolume": standing["hypervolume"], "front_size": len(standing["front"])}
    for role in ("best", "knee"):
        found |= picked_numbers(role, standing[role])
    return found


def picked_numbers(role: str, chosen: Mapping[str, Any] | None) -> dict[str, float]:
    """Return number, values and costs of a picked network, all under one name; empty for none."""
    if chosen is None:
        return {}
    measured = chosen["costs"] | chosen["values"] | {f"believed_{k}": v for k, v in chosen["believed"].items()}
    return {f"{role}/trial": chosen["trial"], **{f"{role}/{name}": value for name, value in measured.items()}}


def flat(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a nested document under keys that join those of its levels by dots.

    >>> flat({"training": {"epochs": 3, "ema": None}, "seed": 0})
    {'training.epochs': 3, 'training.ema': None, 'seed': 0}
    """
    return dict(_flat("", document))


def _flat(prefix: str, document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{key}.", value)
        else:
            yield f"{prefix}{key}", value
