"""Rows that trackers record, as plain JSON: one for each ended trial, a function of the study's records alone.

So a resumed search computes for an old trial the same row that an uninterrupted one would have recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from nas.objectives.pareto import hypervolume
from nas.study.architectures import known_choices
from nas.study.belief import Believer
from nas.study.selection import BelievedFront, believed_front
from nas.study.trial import ENDED, Candidate, Record, in_order_of_ends
from nas.tracking.recorder import Row

BELIEVED = 64
"""Ended trials of an earlier search whose rows have a front: the last half one by one, the others evenly apart."""


def ended_in_order(records: Sequence[Record]) -> list[Record]:
    """Return the trials that have ended, sorted by the search's clock at their end."""
    return in_order_of_ends(record for record in records if record.state in ENDED)


def standing(believer: Believer, complete: Sequence[Record]) -> dict[str, Any]:
    """Return front, best and knee, and hypervolume of complete trials, as JSON.

    Args:
        believer: believer of the study, which chooses the front.
        complete: the complete trials.

    Returns:
        `front`, the numbers of its trials, `hypervolume`, and of the front's `best` and `knee` the number, the values
        as measured, those of trained objectives as believed, and the costs; both are None for an empty front.
    """
    front = believed_front(complete, believer)
    return {
        "front": [record.number for record in front.members],
        "hypervolume": hypervolume(front.losses),
        "best": _picked(believer, front, front.best),
        "knee": _picked(believer, front, front.knee),
    }


def _picked(believer: Believer, front: BelievedFront, place: int | None) -> Row | None:
    if place is None:
        return None
    record, axes = front.members[place], believer.axes
    return {
        "trial": record.number,
        "id": record.candidate.id,
        "summary": record.candidate.summary,
        "values": dict(record.values or {}),
        "believed": {
            axis.name: float(axis.value(front.points[place, [i]])[0])
            for i, axis in enumerate(axes)
            if axis.name not in record.candidate.costs
        },
        "costs": dict(record.candidate.costs),
    }


def described(candidate: Candidate) -> Row:
    """Return the part of a row that is known before a training: identities, costs, seed, architecture and choices."""
    return {
        "summary": candidate.summary,
        "id": candidate.id,
        "network_id": candidate.network_id,
        "seed": candidate.seed,
        "costs": dict(candidate.costs),
        "architecture": dict(candidate.architecture),
        "choices": known_choices(candidate.architecture),
    }


class RowBuilder:
    """Builder of the rows of ended trials, each with the totals of the study after that trial.

    Attributes:
        complete: the complete trials so far, without later repeats.
    """

    def __init__(self, believer: Believer, *, curves: bool) -> None:
        """Start with no trial.

        Args:
            believer: believer of the study, which chooses the front.
            curves: whether a row also has the learning curve.
        """
        self._believer = believer
        self._curves = curves
        self.complete: list[Record] = []
        self._counts: Counter[str] = Counter(dict.fromkeys((*map(str, ENDED), "rejected", "duplicates"), 0))
        self._seconds = 0.0
        self._clock = 0.0

    def earlier(self, records: Sequence[Record]) -> Iterator[Row]:
        """Yield the rows of the trials that ended before this search began.

        A front of thousands takes a tenth of a second, and an earlier search recorded nearly all of these trials. Of
        more than `BELIEVED` trials, only that many have front and hypervolume: the newest half, which a search that was
        killed may have left unrecorded, and others evenly apart.
        """
        ended = ended_in_order(records)
        older = len(ended) - BELIEVED // 2
        stride = max(1, -(-older // (BELIEVED // 2)))
        for place, record in enumerate(ended):
            yield self.add(record, believe=place >= older or place % stride == 0)

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
        self.complete += [record] if record.values else []
        row = {
            "trial": record.number,
            "state": str(record.state),
            **described(candidate),
            "values": dict(record.values or {}),
            "seconds": record.seconds,
            "epochs": len(record.curve),
            "failure": str(record.failure.kind) if record.failure else None,
            "so_far": self._so_far(believe=believe),
        }
        if self._curves:
            curve = [epoch.to_json() for epoch in record.curve]
            row["curve"] = curve
        return row

    def _so_far(self, *, believe: bool) -> dict[str, Any]:
        nothing = dict.fromkeys(("front", "hypervolume", "best", "knee"))
        return {
            "counts": dict(self._counts),
            **(standing(self._believer, self.complete) if believe else nothing),
            "compute_seconds": self._seconds,
            "clock_seconds": self._clock,
        }
