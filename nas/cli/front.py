"""`nas front`: Pareto front of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nas.cli.common.printing import Row, print_document
from nas.cli.common.studies import reading
from nas.config.commands import FrontConfig
from nas.evaluation.retrain.files import trial_results
from nas.evaluation.retrain.final_front import optimism
from nas.objectives.limits import Limits
from nas.reports.tables import TEST, front_columns, front_numbers, front_table
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
    document = reader.front_document(_picked(reader, config.pick, limits))
    print_front(with_tests(document, trial_results(reader.study.folder)), config.format)
    return 0


def with_tests(document: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the document of a front with the test accuracies of its networks that were retrained.

    Args:
        document: the front.
        results: results of the retrained networks of its study.

    Returns:
        `test_accuracy` with `mean`, `sd` and `n` for each of them, and `optimism`: how far the search's accuracies of
        all retrained networks were above their test accuracies. Without results, the document as it is.
    """
    measured = [result for result in results if result["seeds"] and result["test_accuracy"]["n"]]
    tested = {result["trial"]: result["test_accuracy"] for result in measured}
    if not tested:
        return dict(document)
    front = [
        {**item, "test_accuracy": tested[item["trial"]]} if item["trial"] in tested else item
        for item in document["front"]
    ]
    return {**document, "front": front, "optimism": optimism(measured)}


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
    tested = [TEST] if any(TEST in item for item in document["front"]) else []
    rows: list[Row] = [["trial", "id", *columns, *tested, "summary"]]
    for item in document["front"]:
        means = [item.get(name, {}).get("mean", "") for name in tested]
        rows.append([item["trial"], item["id"], *front_numbers(item, columns), *means, item["summary"]])
    return rows
