"""`nas compare`: several studies side by side."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.cli.common.printing import Row, print_document
from nas.cli.common.studies import reading
from nas.config.commands import CompareConfig
from nas.config.storage import StorageSpec
from nas.reports.side_by_side import comparison_table, draw_comparison
from nas.study.side_by_side import check_comparable, groups_of, side_by_side


@dataclass(frozen=True)
class _Named:
    """One of the studies of the command.

    Attributes:
        study: its name or path.
        outputs: folder of the studies.
        storage: its database.
    """

    study: str
    outputs: str
    storage: StorageSpec


def run(config: CompareConfig) -> int:
    """Compare the studies, print the comparison and draw it.

    Raises:
        ValueError: fewer than two studies, one that does not exist, or studies of different boxes.
    """
    names = list(dict.fromkeys(config.studies))
    if len(names) < 2:
        raise ValueError(f"two studies at least must be named, as in nas compare A B, got {len(names)}")
    readers = [reading(_Named(name, config.outputs, config.storage)) for name in names]
    check_comparable([reader.study for reader in readers])
    print_document(side_by_side(readers), config.format, comparison_table, comparison_rows)
    if config.output is not None:
        path = Path(config.output).expanduser()
        draw_comparison(groups_of(readers), readers[0].study.axes, path)
        sys.stderr.write(f"Files:\n  {path}\n")
    return 0


def comparison_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row for each group and amount of training."""
    rows: list[Row] = [["group", "seeds", "measure", "amount", "mean", "low", "high"]]
    for group in document["groups"]:
        for measure in ("seconds", "trials"):
            for point in group[f"at_{measure}"]:
                ends = ("" if point[name] is None else point[name] for name in ("low", "high"))
                rows.append([group["name"], point["n"], measure, point[measure], point["mean"], *ends])
    return rows
