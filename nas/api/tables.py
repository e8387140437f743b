"""Fronts and trials as data frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from nas.study.summary import StudyReader
from nas.study.trial import Record
from search_space.architecture import Architecture
from search_space.differences import choices_of, position


def front_frame(document: Mapping[str, Any]) -> pd.DataFrame:
    """Return the document of a front as a data frame, one network a row."""
    rows = [_front_row(item) for item in document["front"]]
    return pd.DataFrame(rows, columns=None if rows else ["trial", *document["objectives"], "summary"])


def _front_row(item: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"trial": item["trial"], **item["values"]}
    belief = item.get("believed")
    if belief is not None:
        for name, mean in belief["values"].items():
            low, high = belief["intervals"][name]
            row |= {f"{name}_believed": mean, f"{name}_low": low, f"{name}_high": high}
        row["p_front"] = belief["front_probability"]
    return {**row, **item["costs"], **item["values"], "summary": item["summary"]}


def trials_frame(reader: StudyReader, *, choices: bool) -> pd.DataFrame:
    """Return the trials of a study as a data frame, one a row.

    Args:
        reader: the study.
        choices: whether every choice is a column.
    """
    objectives = [axis.name for axis in reader.study.axes]
    front = {record.number for record in reader.front}
    rows = [_trial_row(record, objectives, on_front=record.number in front) for record in reader.records]
    frame = pd.DataFrame(rows, columns=None if rows else ["trial", "state", *objectives, "summary"])
    if not (choices and rows):
        return frame
    known = pd.DataFrame([choices_of(Architecture.from_json(r.candidate.architecture)) for r in reader.records])
    return pd.concat([frame, known[sorted(known.columns, key=position)]], axis=1)


def _trial_row(record: Record, objectives: list[str], *, on_front: bool) -> dict[str, Any]:
    values = record.values or {}
    return {
        "trial": record.number,
        "state": str(record.state),
        **{name: values.get(name) for name in objectives},
        "front": on_front,
        **record.candidate.costs,
        "epochs": len(record.curve),
        "seconds": record.spent,
        "failure": None if record.failure is None else str(record.failure.kind),
        "id": record.candidate.id,
        "summary": record.candidate.summary,
    }
