"""Assessment of a study's trials: the front, what is believed of networks near it, and the progress of the search.

This is the part of a page that takes time, so that a live page computes it less often than it reads new trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.objectives.pareto import hypervolume
from nas.reports.document.progress import progress
from nas.study.belief import Believer
from nas.study.selection import BelievedFront, believed_front
from nas.study.trial import Record

DOUBT = 0.1
"""Probability of the other order from which on two networks can't be told apart."""


@dataclass(frozen=True)
class Assessment:
    """Front of a study and belief about its trials.

    Attributes:
        front: numbers of the trials on the front, cheapest first.
        first: the trial that a page shows first; None if there is none.
        best: the trial that `pick=best` selects; None for an empty front.
        knee: the trial that `pick=knee` selects; None for an empty front.
        believed: belief about the trials near the front as JSON values, by number.
        same: members of the front from which a trial can't be told apart, by number.
        progress: the search over time, as `progress` returns it.
        hypervolume: hypervolume of the front.
    """

    front: tuple[int, ...] = ()
    first: int | None = None
    best: int | None = None
    knee: int | None = None
    believed: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    same: Mapping[int, Sequence[int]] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)
    hypervolume: float = 0.0


def assess(records: Sequence[Record], believer: Believer, y: str) -> Assessment:
    """Return the assessment of a study's trials.

    Args:
        records: the trials.
        believer: the study's believer, which chooses the front.
        y: the objective that is shown over costs.
    """
    place = [axis.name for axis in believer.axes].index(y)
    complete = [record for record in records if record.values is not None]
    front = believed_front(complete, believer)
    members, losses = tuple(record.number for record in front.members), front.losses
    beliefs = believer.beliefs(records)
    doubts = believer.doubts(records, set(members), y)
    return Assessment(
        members,
        _first(records, front, place),
        None if front.best is None else members[front.best],
        None if front.knee is None else members[front.knee],
        {
            number: {
                "mean": _rounded(belief.means[y]),
                "low": _rounded(belief.intervals[y][0]),
                "high": _rounded(belief.intervals[y][1]),
                "margin": _rounded(belief.margins[y]),
                "p_front": round(belief.front_probability, 3),
            }
            for number, belief in beliefs.items()
            if y in belief.means
        },
        {
            number: same
            for number, others in doubts.items()
            if (same := [other for other in members if others.get(other, 0.0) > DOUBT])
        },
        progress(records, complete, losses, believer.axes),
        hypervolume(losses),
    )


def _first(records: Sequence[Record], front: BelievedFront, place: int) -> int | None:
    """Return the member of the front with the least believed loss on an axis, else the first trial."""
    if front.members:
        return front.members[int(front.points[:, place].argmin())].number
    return next((record.number for record in records), None)


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
