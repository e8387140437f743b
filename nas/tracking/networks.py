"""Networks whose weights a tracker keeps: the best, the knee, and those of the front."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from nas.study.study import Study
from nas.study.trial import Record
from nas.training.checkpoint_folder import latest

PICKLE = ".pkl"


def kept_networks(
    study: Study, complete: Sequence[Record], standing: Mapping[str, Any], weights: str
) -> dict[str, dict[str, Any]]:
    """Return the networks that a tracker keeps, by role: `best`, `knee`, `trial-17`.

    Args:
        study: the study.
        complete: its complete trials.
        standing: its front, best and knee, as `nas.tracking.rows.standing` returns them.
        weights: `none`, `best` for the best and the knee, or `front` for every network of the front, too.
    """
    roles = {role: standing[role]["trial"] for role in ("best", "knee") if standing[role]}
    if weights == "front":
        roles |= {f"trial-{number}": number for number in standing["front"]}
    by_number = {record.number: record for record in complete}
    chosen = {} if weights == "none" else roles
    return {role: _network(study, by_number[number]) for role, number in chosen.items()}


def _network(study: Study, record: Record) -> dict[str, Any]:
    candidate = record.candidate
    return {
        "trial": record.number,
        "id": candidate.id,
        "summary": candidate.summary,
        "values": dict(record.values or {}),
        "costs": dict(candidate.costs),
        "architecture": dict(candidate.architecture),
        "weights": _checkpoint(study, record),
    }


def _checkpoint(study: Study, record: Record) -> str | None:
    """Return the newest checkpoint of a trial in the study's folder; None if there is none, or one with a pickle."""
    found = latest(study.trial_folder(record.number))
    if found is None:
        return None
    path = found[0]
    try:
        with zipfile.ZipFile(path) as archive:
            pickled = any(name.endswith(PICKLE) for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return None
    return None if pickled else str(path.relative_to(study.folder))
