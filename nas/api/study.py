"""A study as an object: its front, its trials and its networks."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from nas.api.network import Network
from nas.api.plots import PLOTS
from nas.api.settings import add_plugins
from nas.api.tables import front_frame, trials_frame
from nas.cli.status import status_document
from nas.config.checks import check_limits
from nas.objectives.limits import Limits
from nas.study.folders import existing_study
from nas.study.selection import pick_records
from nas.study.summary import StudyReader, open_for_reading

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@final
class Study:
    """A stored study. It follows a search that runs: what is asked for is read anew once the study has changed."""

    def __init__(
        self,
        study: str | Path,
        outputs: str | Path = "outputs",
        storage: str = "sqlite",
        plugins: str | Path | None = None,
    ) -> None:
        """Open a study.

        Args:
            study: its name, or a path.
            outputs: folder of the studies.
            storage: kind of its database, `sqlite` or `postgres`.
            plugins: folder of the plug-ins that it was searched with, as `--config-dir` names it.

        Raises:
            ValueError: there is no such study; the message lists those that there are.
        """
        add_plugins(plugins)
        self._folder = existing_study(str(study), str(outputs), in_folder=storage == "sqlite")
        self._reader = open_for_reading(self._folder, storage)

    @property
    def name(self) -> str:
        """Name of the study: that of its folder."""
        return self._reader.study.name

    @property
    def folder(self) -> Path:
        """Folder of the study."""
        return self._folder

    def status(self) -> dict[str, Any]:
        """Return counts, hypervolume, time, best and knee, as `nas status format=json` prints them."""
        return status_document(self._current())

    def front(self, **limits: float | None) -> pd.DataFrame:
        """Return the front, the cheapest network first.

        Args:
            limits: upper limits on costs, such as `max_macs=1e6`.

        Returns:
            One row a network: `trial`; the measured objectives; of each trained one what is believed, with the ends of
            its interval, as `NAME_believed`, `NAME_low` and `NAME_high`; `p_front`, the probability that it is on the
            front; the costs; and `summary`.
        """
        reader = self._current()
        if limits:
            check_limits(limits)
            reader = StudyReader(reader.study)
            bounds = reader.study.believer.limits
            try:
                reader.limit(Limits(**limits))
                return front_frame(reader.front_document())
            finally:
                reader.study.believer.limits = bounds
        return front_frame(reader.front_document())

    def trials(self, *, choices: bool = False) -> pd.DataFrame:
        """Return all trials, one a row.

        Args:
            choices: whether every choice of the architectures is a column, by its path.
        """
        return trials_frame(self._current(), choices=choices)

    def pick(self, what: str | int = "best", **limits: float | None) -> Network:
        """Return one network.

        Args:
            what: `best` (highest first objective), `knee` (farthest from the line between the front's ends), or the
                number of a trial.
            limits: upper limits on costs, such as `max_macs=1e5`.

        Raises:
            ValueError: there is none, or it is over a limit.
        """
        if what == "front":
            raise ValueError("pick must be best, knee or a trial's number; front() has all networks of the front")
        check_limits(limits)
        reader = self._current()
        (record,) = pick_records(reader.records, reader.study.believer, str(what), Limits(**limits))
        return Network.of_trial(reader, record)

    def plot(self, kind: str = "front", axes: Axes | None = None) -> Axes:
        """Draw the study, and return the axes of matplotlib.

        Args:
            kind: `front`, or `hypervolume` over the training time.
            axes: axes to draw on; None for new ones.

        Raises:
            ValueError: an unknown kind.
        """
        if kind not in PLOTS:
            raise ValueError(f"kind must be one of {', '.join(PLOTS)}, got {kind!r}")
        return PLOTS[kind](self._current(), axes)

    def __getitem__(self, number: int) -> Network:
        """Return the network of a trial, in any state.

        Raises:
            ValueError: there is no such trial.
        """
        reader = self._current()
        return Network.of_trial(reader, reader.record(number))

    def __iter__(self) -> Iterator[Network]:
        reader = self._current()
        return (Network.of_trial(reader, record) for record in reader.records)

    def __len__(self) -> int:
        return len(self._current().records)

    def _current(self) -> StudyReader:
        """Return the study as it is now."""
        self._reader = self._reader.reread()
        return self._reader

    def __repr__(self) -> str:
        counts = self.status()["trials"]
        return f"Study {self.name}: {', '.join(f'{count} {state}' for state, count in counts.items() if count)}"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.front().to_html(index=False, float_format='{:,.6g}'.format)}"
