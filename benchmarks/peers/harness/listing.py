"""Listing of searches on one table: shares of the true front's hypervolume over the training spent."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from nas.tabular.simulation.intervals import estimate
from nas.tabular.simulation.scores import score
from nas.tabular.simulation.trace import SearchTrace
from nas.tabular.simulation.truth import Truth

MOMENTS = (10, 30, 100)


@dataclass(frozen=True)
class Row:
    """Searches of one optimizer.

    Attributes:
        name: of the optimizer.
        traces: one a seed.
    """

    name: str
    traces: Sequence[SearchTrace]


def listing(title: str, rows: Sequence[Row], truth: Truth, horizon: float) -> str:
    """Return a Markdown table of medians over the seeds, thinking charged and thinking free.

    Args:
        title: of the table.
        rows: one an optimizer.
        truth: ground truth of the table.
        horizon: full-training equivalents over which the searches are scored.
    """
    moments = [moment for moment in MOMENTS if moment <= horizon] or [horizon]
    shares = [f"share at {moment:g}" for moment in moments]
    free = [f"{moment:g} if thinking is free" for moment in moments]
    heads = ["optimizer", "seeds", *shares, "interval", *free, "thinking s", "duplicates"]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *(_cells(row, truth, horizon, moments) for row in rows)]
    return "\n".join([f"## {title}", "", *(f"| {' | '.join(cells)} |" for cells in lines), ""])


def _cells(row: Row, truth: Truth, horizon: float, moments: Sequence[float]) -> list[str]:
    charged, free = (
        [score(trace, truth, horizon, charge_driver=each) for trace in row.traces] for each in (True, False)
    )
    last = estimate([each.at(moments[-1]) for each in charged])
    return [
        row.name,
        str(len(row.traces)),
        *(f"{statistics.median(each.at(moment) for each in charged):.3f}" for moment in moments),
        f"{last.low:.3f} to {last.high:.3f}",
        *(f"{statistics.median(each.at(moment) for each in free):.3f}" for moment in moments),
        f"{statistics.median(trace.driver_seconds for trace in row.traces):.1f}",
        f"{statistics.median(trace.counts['duplicates'] for trace in row.traces):g}",
    ]
