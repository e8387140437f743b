"""Selection of trials by `pick=`: `best`, `knee`, `front` or a number, within limits on their costs."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from nas.config.checks import PICKS, check_pick
from nas.objectives.limits import Limits
from nas.study.belief import Believer
from nas.study.trial import Record


@final
@dataclass(frozen=True, eq=False)
class BelievedFront:
    """Front of complete trials by their believed losses.

    Attributes:
        members: its trials, cheapest first.
        points: (n, m) believed losses of the members, the first objective first.
        losses: (c, m) believed losses of all complete trials, in their order.
    """

    members: list[Record]
    points: NDArray[np.float64]
    losses: NDArray[np.float64]

    @property
    def best(self) -> int | None:
        """Place among the members of the one that `pick=best` selects, None for an empty front."""
        return best_place(self.points) if self.members else None

    @property
    def knee(self) -> int | None:
        """Place among the members of the one that `pick=knee` selects, None for an empty front."""
        return knee_place(self.points) if self.members else None

    def member(self, place: int | None) -> Record | None:
        """Return the member at a place, None for none."""
        return None if place is None else self.members[place]


def believed_front(complete: Sequence[Record], believer: Believer, within: set[int] | None = None) -> BelievedFront:
    """Return the front of complete trials by the posterior means.

    Args:
        complete: complete trials; those that are not `within` tell of the others, too.
        believer: believer of the study.
        within: numbers of the trials that may be on the front; None for all.
    """
    losses = believer.losses(complete)
    rows = [row for row, record in enumerate(complete) if within is None or record.number in within]
    members = believer.front_of([complete[row] for row in rows], losses[rows])
    places = {record.number: row for row, record in enumerate(complete)}
    return BelievedFront(members, losses[[places[record.number] for record in members]], losses)


def pick_records(records: Sequence[Record], believer: Believer, pick: str, limits: Limits) -> list[Record]:
    """Return the trials that `pick` selects by their believed values, cheapest first.

    * `best`: the complete trial with the best first objective; ties are broken by the other objectives in order.
    * `knee`: the trial of the front with the largest distance from the hyperplane through the front's ends, towards
      better values. With losses scaled to the front's own range it has the least sum of losses (Das 1999, "On
      characterizing the knee of the Pareto curve"). For two objectives the plane is the line between the ends, and the
      scale of the axes does not matter. If no trial lies beyond the plane, it is the end that `best` selects.
    * `front`: all non-dominated trials.
    * a number: that trial in any state.

    Trials that exceed the limits are removed first.

    Args:
        records: all trials of the study.
        believer: believer of the study.
        pick: one of `PICKS`, or a trial's number in digits.
        limits: on the costs of a network, beside those of the believer, which bind every pick but a number.

    Raises:
        ValueError: no such trial, or none that is complete and within the limits.
    """
    check_pick(pick)
    if records:
        limits.checked(records[0].candidate.costs)
    if pick not in PICKS:
        return [_numbered(records, int(pick), limits)]
    within = {record.number for record in _within(records, limits.joined(believer.limits))}
    front = believed_front([record for record in records if record.values is not None], believer, within)
    if pick == "front":
        return front.members
    chosen = front.member(front.best if pick == "best" else front.knee)
    assert chosen is not None  # a trial is within the limits
    return [chosen]


def best_place(points: NDArray[np.float64]) -> int:
    """Return the place of the best trial of a front.

    Args:
        points: (n, m) believed losses of the front, the first objective first.
    """
    return min(range(len(points)), key=lambda place: tuple(points[place]))


def knee_place(points: NDArray[np.float64]) -> int:
    """Return the place of the knee of a front.

    Args:
        points: (n, m) believed losses of the front.
    """
    ranges = np.ptp(points, axis=0)
    sums = ((points - points.min(axis=0)) / np.where(ranges > 0, ranges, 1.0)).sum(axis=1)
    rounded = [round(float(value), 9) for value in sums]  # the sums of two ends are 1 up to the last bit: equals
    return min(range(len(points)), key=lambda place: (rounded[place], *points[place]))


def numbered(records: Sequence[Record], number: int) -> Record | None:
    """Return a trial by its number, None if there is none or it is left out.

    Args:
        records: the trials of a study that could be read, in order of their numbers.
        number: the number.
    """
    place = bisect_left(records, number, key=lambda record: record.number)
    if place < len(records) and records[place].number == number:
        return records[place]
    return None


def _numbered(records: Sequence[Record], number: int, limits: Limits) -> Record:
    record = numbered(records, number)
    if record is None:
        raise ValueError(f"pick must be one of the {len(records)} trials of the study, counted from 0, got {number}")
    broken = _exceeded_clauses(record, limits)
    if broken:
        raise ValueError(f"pick={number} must meet the limits, but {', '.join(broken)}")
    return record


def _within(records: Sequence[Record], limits: Limits) -> list[Record]:
    complete = [record for record in records if record.values is not None]
    if not complete:
        raise ValueError(f"pick needs a complete trial, none of the {len(records)} in the study is")
    within = [record for record in complete if not _exceeded_clauses(record, limits)]
    if not within:
        nearest = min(complete, key=lambda record: _largest_excess(record, limits))
        raise ValueError(
            f"limits must leave a complete trial to pick, none of {len(complete)} meets them; "
            f"nearest is trial {nearest.number}: {', '.join(_exceeded_clauses(nearest, limits))}"
        )
    return within


def _exceeded_clauses(record: Record, limits: Limits) -> list[str]:
    """Return a readable clause for each limit that a trial's network exceeds."""
    costs = record.candidate.costs
    return [
        f"its {name} {costs[name]:,.6g} exceeds limits.max_{name}={limit:,.6g}"
        for name, limit in limits.by_cost.items()
        if costs[name] > limit
    ]


def _largest_excess(record: Record, limits: Limits) -> float:
    """Return the largest ratio of a cost to its limit."""
    return max(float(record.candidate.costs[name] / limit) for name, limit in limits.by_cost.items())
