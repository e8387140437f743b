"""Recorders: the part of a tracker that runs in the recording process.

The module of a recorder has two functions: `open_recorder(start) -> Recorder` for a search, and
`record_results(start) -> status` for the results of a command such as `nas retrain`. A status is a JSON object that the
driver's part reports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

Row = dict[str, Any]
"""Row of a trial, as `nas.tracking.rows` makes it."""

Message = dict[str, Any]


class Recorder(Protocol):
    """Recorder of one search."""

    def add(self, row: Row) -> None:
        """Record an ended trial, unless it is recorded already."""
        ...

    def add_epochs(self, part: Row) -> None:
        """Record epochs of a running trial.

        Args:
            part: under `trial` its number, under `curve` epochs, of which some may be recorded already, and in the
                first part of a trial what its row says of its architecture.
        """
        ...

    def show(self) -> None:
        """Record pictures and tables of the trials so far."""
        ...

    def poll(self) -> None:
        """Do what is due, such as an upload; called about once a second."""
        ...

    def finish(self, end: Message | None) -> Mapping[str, Any]:
        """Record the end of the search, and close everything; return the status.

        Args:
            end: totals, front and reason; None if the driver was killed.
        """
        ...
