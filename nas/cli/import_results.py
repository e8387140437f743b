"""`nas import`: results of trainings made elsewhere, as trials of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from nas.cli.common.printing import Row, print_document
from nas.cli.common.studies import reading
from nas.config.commands import ImportConfig
from nas.search.imports import Imported, Importer, read_results
from nas.study.storage.factory import locked_store
from nas.study.study import open_study


def run(config: ImportConfig) -> int:
    """Check all results, store them, and print what became of each.

    Raises:
        ValueError: no study of that name, one that a search drives, no files, or a result that breaks a law; then
            nothing is stored.
    """
    if not config.files:
        raise ValueError("files must name at least one file of results: nas import study=NAME FILE.json")
    reader = reading(config)
    folder = reader.study.folder
    reader.study.close()
    with locked_store(folder, config.storage.kind) as store:
        study = open_study(folder, store)
        importer = Importer(study)
        results = [importer.check(place, document) for place, document in read_results(config.files)]
        store.record_driver()
        told = importer.store(results)
    print_document(_document(study.name, told), config.format, import_table, import_rows)
    return 0


def _document(study: str, told: Sequence[Imported]) -> dict[str, Any]:
    return {
        "study": study,
        "imported": sum(one.new for one in told),
        "known": sum(not one.new for one in told),
        "results": [
            {
                "result": one.place,
                "trial": one.trial,
                "imported": one.new,
                "summary": one.summary,
                "values": dict(one.values),
            }
            for one in told
        ],
    }


def import_table(document: Mapping[str, Any]) -> Table:
    """Return what became of each result, one a row."""
    table = Table(title=f"Imported into {document['study']}")
    for name in ("result", "trial", "became", "network"):
        table.add_column(name)
    for one in document["results"]:
        became = "a new trial" if one["imported"] else "left out: the study has its network"
        table.add_row(Text(one["result"]), str(one["trial"]), became, Text(one["summary"]))
    return table


def import_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row a result."""
    names = list(document["results"][0]["values"])
    rows: list[Row] = [["result", "trial", "imported", *names, "summary"]]
    rows += [
        [one["result"], one["trial"], one["imported"], *one["values"].values(), one["summary"]]
        for one in document["results"]
    ]
    return rows
