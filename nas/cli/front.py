"""`nas front`: Pareto front of a study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.cli.common.printing import Row, print_document
from nas.cli.common.studies import reading
from nas.config.commands import FrontConfig
from nas.objectives.limits import Limits
from nas.reports.tables import front_columns, front_numbers, front_table
from nas.study.selection import pick_records
from nas.study.summary import StudyReader
from nas.study.trial import Record


def run(config: FrontConfig) -> int:
    """Print the front of a study, or the networks that are picked.

    Raises:
        ValueError: no study of that name, a limit on a cost that its networks have not or that none of them meets, or
            no such network to pick.
    """
    reader = reading(config)
    limits = Limits(**config.limits)
    reader.limit(limits)
    print_front(reader.front_document(_picked(reader, config.pick, limits)), config.format)
    return 0


def _picked(reader: StudyReader, pick: str, limits: Limits) -> list[Record] | None:
    """Return the picked trials, None for the front, which is empty before the first complete trial."""
    if pick == "front":
        limited = limits.by_cost and any(record.values is not None for record in reader.records)
        return pick_records(reader.records, reader.study.believer, pick, limits) if limited else None
    (record,) = pick_records(reader.records, reader.study.believer, pick, limits)
    if record.values is None:
        raise ValueError(
            f"pick={pick} must be a complete trial, it is {record.state}; nas status counts trials by state"
        )
    return [record]


def print_front(document: Mapping[str, Any], form: str) -> None:
    """Print the document of a front as a table, JSON or CSV."""
    print_document(document, form, front_table, front_rows)


def front_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row a network; a cost that is also an objective has one column."""
    columns = front_columns(document)
    rows: list[Row] = [["trial", "id", *columns, "summary"]]
    rows += [[item["trial"], item["id"], *front_numbers(item, columns), item["summary"]] for item in document["front"]]
    return rows
