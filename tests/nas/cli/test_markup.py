"""Names that look like markup of the terminal's tables are printed as they are."""

from __future__ import annotations

import pytest
from rich.table import Table

from nas.cli.common.printing import print_document
from nas.reports.tables import tabulated_table

NAME = "[/x] [bold]y [link=z]"


def test_every_text_of_a_table_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    def table(document: object) -> Table:
        made = Table(title=NAME, caption=NAME)
        made.add_column(NAME)
        made.add_row(NAME)
        return made

    print_document({}, "table", table, lambda _: [])
    assert capsys.readouterr().out.count(NAME) >= 3


def test_a_space_named_like_markup_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    document = {
        "table": "t.parquet",
        "space": NAME, "architectures": 1, "networks": 1, "trainings": 1, "epochs": 1, "seeds": [0],
        "mean_seconds": 1.0, "test_accuracy": {"min": 0.1, "max": 0.2},
    }  # fmt: skip
    print_document(document, "table", tabulated_table, lambda _: [])
    assert NAME in capsys.readouterr().out
