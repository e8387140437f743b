"""Details of one trial that its row leaves out: drawing, blocks, the whole learning curve and commands."""

from __future__ import annotations

from typing import Any

from nas.reports.document.trials import curve_columns
from nas.reports.measures import MACS, PARAMS
from nas.study.trial import Record, State
from search_space.architecture import Architecture
from search_space.cost import rows
from search_space.drawing import draw
from search_space.lowering import lower


def drawing_and_blocks(record: Record) -> dict[str, Any]:
    """Return the drawing of a trial's network as SVG, and its blocks with path, output shape, parameters and MACs."""
    graph = lower(Architecture.from_json(record.candidate.architecture))
    blocks = [{"path": row.path, "output": str(row.output), PARAMS: row.params, MACS: row.macs} for row in rows(graph)]
    return {"drawing": draw(graph, costs=False), "blocks": blocks}


def details(record: Record, reference: str) -> dict[str, Any]:
    """Return the details of a trial as JSON values.

    Args:
        record: the trial.
        reference: overrides that name the study in a command, quoted for a shell.
    """
    actions = ("retrain", "export") if record.state == State.COMPLETE else ()
    return {
        "trial": record.number,
        **drawing_and_blocks(record),
        "architecture": dict(record.candidate.architecture),
        "commands": {name: f"nas {name} {reference} pick={record.number}" for name in actions},
        "curve": {"epoch": [row.epoch for row in record.curve], **curve_columns(record.curve)},
    }
