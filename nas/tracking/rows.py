"""What is tracked of a trial, as plain JSON: a function of the study's records alone.

So a resumed search computes for an old trial the very row that an unbroken one would have tracked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from nas.objectives.pareto import Axis, hypervolume, losses
from nas.study.summary import front_records
from nas.study.trial import Record

ENDED = ("complete", "pruned", "failed")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_ABSOLUTE = re.compile(r"^(/|~|[A-Za-z]:[\\/])")

Row = dict[str, Any]


def in_order_of_ending(records: Sequence[Record]) -> list[Record]:
    """The trials that have ended, as they ended by the search's clock."""
    ended = [record for record in records if record.state in ENDED]
    return sorted(ended, key=lambda record: (record.training.get("clock", 0.0), record.number))


class Ledger:
    """Turns ended trials, one by one, into rows that say what the trial is and how the study stood after it."""

    def __init__(self, axes: Sequence[Axis], *, curves: bool) -> None:
        """An empty ledger.

        Args:
            axes: the objectives.
            curves: whether a row carries the learning curve and the architecture too.
        """
        self._axes = axes
        self._curves = curves
        self._front: list[Record] = []
        self._counts: Counter[str] = Counter(dict.fromkeys((*ENDED, "rejected", "duplicates"), 0))
        self._seconds = 0.0
        self._clock = 0.0

    def add(self, record: Record) -> Row:
        """The row of the next trial that ended, as it was then: repeats that came later are not in it."""
        record = record.as_told()
        candidate = record.candidate
        self._counts.update([record.state])
        self._counts.update(candidate.skipped)
        self._seconds += record.seconds
        self._clock = max(self._clock, record.training.get("clock", 0.0))
        self._front = front_records([*self._front, record], self._axes)
        row = {
            "trial": record.number,
            "state": record.state,
            "summary": candidate.summary,
            "id": candidate.id,
            "network_id": candidate.network_id,
            "values": dict(record.values or {}),
            "costs": dict(candidate.costs),
            "seconds": record.seconds,
            "epochs": len(record.curve),
            "failure": record.failure.kind if record.failure else None,
            "so_far": self._so_far(),
        }
        if self._curves:
            curve = [epoch.to_json() for epoch in record.curve]
            row |= {"curve": curve, "architecture": dict(candidate.architecture), "seed": candidate.seed}
        return row

    def _so_far(self) -> dict[str, Any]:
        return {
            "counts": dict(self._counts),
            "front": [record.number for record in self._front],
            "hypervolume": hypervolume(losses(self._axes, [r.values for r in self._front if r.values])),
            "compute_seconds": self._seconds,
            "clock_seconds": self._clock,
        }


def published(value: Any) -> Any:
    """A configuration as it may leave the machine: no folder names, no passwords in addresses.

    >>> published({"path": "/home/anna/photos", "url": "postgresql://anna:secret@db/nas", "n": 3})
    {'path': 'photos', 'url': 'postgresql://db/nas', 'n': 3}
    """
    if isinstance(value, Mapping):
        return {str(key): published(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [published(inner) for inner in value]
    if isinstance(value, PurePath):
        return published(str(value))
    if isinstance(value, str):
        text = _CREDENTIALS.sub("", value)
        return re.split(r"[\\/]", text.rstrip("\\/"))[-1] if _ABSOLUTE.match(text) else text
    return value
