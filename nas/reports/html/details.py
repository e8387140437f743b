"""Details of a trial that its page loads on demand: the drawing and the costs of each block."""

from __future__ import annotations

from collections.abc import Sequence

from nas.study.belief.gp import evenly
from nas.study.trial import Record

DRAWN = 500
"""Details of networks that are not on the front in a report, at most: each takes 20 kB and some milliseconds."""


def detailed(records: Sequence[Record], front: Sequence[Record]) -> list[Record]:
    """Return the trials that a report has details of: all, or the front and `DRAWN` others evenly spaced."""
    members = {record.number for record in front}
    others = [record for record in records if record.number not in members]
    return [*front, *(others[place] for place in evenly(len(others), DRAWN))]
