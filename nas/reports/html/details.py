"""Details of a trial that its page loads on demand: the drawing and the costs of each block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nas.reports.measures import MACS, PARAMS
from nas.study.belief.gp import evenly
from nas.study.trial import Record
from search_space.architecture import Architecture
from search_space.cost import rows
from search_space.drawing import draw
from search_space.lowering import lower

DRAWN = 500
"""Details of networks that are not on the front in a report, at most: each takes 20 kB and some milliseconds."""


def detail(record: Record) -> dict[str, Any]:
    """Return the drawing of a trial's network as SVG, and its blocks with path, output shape, parameters and MACs."""
    graph = lower(Architecture.from_json(record.candidate.architecture))
    blocks = [{"path": row.path, "output": str(row.output), PARAMS: row.params, MACS: row.macs} for row in rows(graph)]
    return {"drawing": draw(graph, costs=False), "blocks": blocks}


def detailed(records: Sequence[Record], front: Sequence[Record]) -> list[Record]:
    """Return the trials that a report has details of: all, or the front and `DRAWN` others evenly spaced."""
    members = {record.number for record in front}
    others = [record for record in records if record.number not in members]
    return [*front, *(others[place] for place in evenly(len(others), DRAWN))]
