"""Rows that trackers record, as plain JSON: one for each ended trial, a function of the study's records alone.

So a resumed search computes for an old trial the same row that an uninterrupted one would have recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from nas.objectives.pareto import hypervolume
from nas.study.belief import Believer
from nas.study.trial import ENDED, Record

Row = dict[str, Any]

BELIEVED = 64
"""Ended trials of an earlier search whose rows have a front: the last half one by one, the others evenly apart."""


def ended_in_order(records: Sequence[Record]) -> list[Record]:
    """Return the trials that have ended, sorted by the search's clock at their end."""
    ended = [record for record in records if record.state in ENDED]
    return sorted(ended, key=lambda record: (record.training.clock or 0.0, record.number))


class RowBuilder:
    """Builder of the rows of ended trials, each with the totals of the study after that trial."""

    def __init__(self, believer: Believer, *, curves: bool) -> None:
        """Start with no trial.

        Args:
            believer: believer of the study, which chooses the front.
            curves: whether a row also has the learning curve, the architecture and the seed.
        """
        self._believer = believer
        self._curves = curves
        self._complete: list[Record] = []
        self._counts: Counter[str] = Counter(dict.fromkeys((*map(str, ENDED), "rejected", "duplicates"), 0))
        self._seconds = 0.0
        self._clock = 0.0

    def earlier(self, records: Sequence[Record]) -> list[Row]:
        """Return the rows of the trials that ended before this search began.

        A front of thousands takes a tenth of a second, and an earlier search recorded nearly all of these trials. Of
        more than `BELIEVED` trials, only that many have front and hypervolume: the newest half, which a search that was
        killed may have left unrecorded, and others evenly apart.
        """
        ended = ended_in_order(records)
        older = len(ended) - BELIEVED // 2
        stride = max(1, -(-older // (BELIEVED // 2)))
        return [self.add(record, believe=i >= older or i % stride == 0) for i, record in enumerate(ended)]

    def add(self, record: Record, *, believe: bool = True) -> Row:
        """Return the row of the next ended trial, as it was at its end: without later repeats of its training.

        Args:
            record: the trial.
            believe: whether to say front and hypervolume, else both are None.
        """
        record = record.without_repeats()
        candidate = record.candidate
        self._counts.update([str(record.state)])
        self._counts.update(candidate.skipped)
        self._seconds += record.seconds
        self._clock = max(self._clock, record.training.clock or 0.0)
        self._complete += [record] if record.values else []
        row = {
            "trial": record.number,
            "state": str(record.state),
            "summary": candidate.summary,
            "id": candidate.id,
            "network_id": candidate.network_id,
            "values": dict(record.values or {}),
            "costs": dict(candidate.costs),
            "seconds": record.seconds,
            "epochs": len(record.curve),
            "failure": str(record.failure.kind) if record.failure else None,
            "so_far": self._so_far(believe=believe),
        }
        if self._curves:
            curve = [epoch.to_json() for epoch in record.curve]
            row |= {"curve": curve, "architecture": dict(candidate.architecture), "seed": candidate.seed}
        return row

    def _so_far(self, *, believe: bool) -> dict[str, Any]:
        believed = self._believer.losses(self._complete) if believe else None
        return {
            "counts": dict(self._counts),
            "front": None
            if believed is None
            else [record.number for record in self._believer.front_of(self._complete, believed)],
            "hypervolume": None if believed is None else hypervolume(believed),
            "compute_seconds": self._seconds,
            "clock_seconds": self._clock,
        }
