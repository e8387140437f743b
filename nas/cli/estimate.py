"""`nas estimate`: what a search will take, before it is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.cli.common.printing import Row, print_document
from nas.config.commands import EstimateConfig
from nas.jobs.notice import showing
from nas.reports.estimate_table import QUANTITIES, estimate_table
from nas.search.build import prepare
from nas.tabular.estimate.forecast import forecast
from nas.tabular.estimate.measured import local_workers
from nas.workers.local import start_loading


def run(config: EstimateConfig) -> int:
    """Time networks of the space, simulate the search, and print the ranges; nothing is written.

    Raises:
        ValueError: as `nas search` raises, or no network can be trained.
    """
    workers = local_workers(config.workers)
    with showing(f"nas estimate: reading data={config.data.slug}, checking the space"):
        start_loading(workers)
        plan = prepare(config)
    with showing(f"nas estimate: timing networks for {config.seconds:g} s, then simulating the search"):
        found = forecast(plan, config.seconds)
    print_document(found.document(), config.format, estimate_table, estimate_rows)
    return 0


def estimate_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row a quantity."""
    rows: list[Row] = [["quantity", "low", "high"]]
    return [*rows, *([name, document[name]["low"], document[name]["high"]] for name in QUANTITIES if name in document)]
