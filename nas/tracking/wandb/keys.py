"""Keys under which W&B gets the values of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.tracking.recorder import Row


def study_row(row: Row) -> dict[str, Any]:
    """Return a trial's row in the history of the study's run."""
    so_far = row["so_far"]
    return {
        "trial": row["trial"],
        "state": row["state"],
        "architecture": row["summary"],
        **{f"value/{name}": value for name, value in row["values"].items()},
        **{f"cost/{name}": value for name, value in row["costs"].items()},
        "training/seconds": row["seconds"],
        "training/epochs": row["epochs"],
        **{f"count/{name}": count for name, count in so_far["counts"].items()},
        **({} if so_far["front"] is None else _front_so_far(so_far)),
        "trials_ended": sum(so_far["counts"][state] for state in ("complete", "pruned", "failed")),
        "compute_seconds": so_far["compute_seconds"],
        "time/clock_seconds": so_far["clock_seconds"],
    }


def _front_so_far(so_far: Mapping[str, Any]) -> dict[str, Any]:
    hypervolume = so_far["hypervolume"]
    return {
        "front/size": len(so_far["front"]),
        "hypervolume/by_trials": hypervolume,
        "hypervolume/by_compute": hypervolume,
        "hypervolume/by_clock": hypervolume,
        **picked("best", so_far["best"]),
        **picked("knee", so_far["knee"]),
    }


def picked(name: str, chosen: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a picked network's number, architecture, values and costs, all under one name; empty for none.

    >>> picked("best", {"trial": 3, "id": "a", "summary": "3:8", "values": {"acc": 0.9}, "believed": {}, "costs": {}})
    {'best/trial': 3, 'best/id': 'a', 'best/architecture': '3:8', 'best/acc': 0.9}
    """
    if chosen is None:
        return {}
    return {
        f"{name}/trial": chosen["trial"],
        f"{name}/id": chosen["id"],
        f"{name}/architecture": chosen["summary"],
        **{f"{name}/{key}": value for key, value in (chosen["values"] | chosen["costs"]).items()},
        **{f"{name}/believed_{key}": value for key, value in chosen["believed"].items()},
    }


def end_summary(end: Mapping[str, Any]) -> dict[str, Any]:
    """Return the summary of the study's run at the end of a search.

    Args:
        end: the driver's end message.
    """
    totals, members = end["totals"], end["front"]["front"]
    return {
        "ended": totals["reason"],
        "hypervolume": totals["hypervolume"],
        "front/size": len(members),
        "front/trials": [member["trial"] for member in members],
        **picked("best", totals["best"]),
        **picked("knee", totals["knee"]),
        **{f"count/{name}": count for name, count in totals["counts"].items()},
    }


def trial_config(row: Row) -> dict[str, Any]:
    """Return the configuration of a trial's run, with each choice of its architecture under a key of its own.

    Panels such as parallel coordinates read keys without a nested document; W&B takes a dot for nesting, so that the
    parts of a choice's path are separated by slashes.
    """
    kept = {name: row[name] for name in ("trial", "id", "network_id", "summary", "costs", "seed", "architecture")}
    return kept | {choice_key(path): value for path, value in row["choices"].items()}


def choice_key(path: str) -> str:
    """Return the key of a choice in a configuration or a table.

    >>> choice_key("stage1.block0.k5.form")
    'choice/stage1/block0/k5/form'
    """
    return f"choice/{path.replace('.', '/')}"


def trial_summary(row: Row) -> dict[str, Any]:
    """Return the summary of a trial's run."""
    return {
        "state": row["state"],
        "failure": row["failure"],
        "training_seconds": row["seconds"],
        **{f"value/{name}": value for name, value in row["values"].items()},
        **{f"cost/{name}": value for name, value in row["costs"].items()},
    }
