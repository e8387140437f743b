"""Reader of a stored study's attributes and trials, which reads again only what may have changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, final

from nas.objectives.pareto import Axis
from nas.study.belief.stored import is_of_space
from nas.study.checked import DamageError, or_reason, readable
from nas.study.foreign import ForeignTrials
from nas.study.reading import Reading, read_trials, uncollected
from nas.study.storage.store import Store
from nas.study.storage.trial_reading import Trial
from nas.study.stored_study import attribute_of, axes_of, fingerprint_of, repeat_documents
from nas.study.stored_trial import Laws

log = logging.getLogger(__name__)

Rows = Callable[[], tuple[Sequence[Trial], Mapping[int, str]]]
"""Returns stored trials, and why others can't be read, by number."""
SETTINGS = ("config", "validation_images")
"""Attributes of a study that a later search may replace, and that tell how its trials are to be read."""


class DamagedStudyError(ValueError):
    """Study of which nothing can be read; the message says why."""


class StudyReplacedError(ValueError):
    """Study in whose place there is another one by now."""


@final
class TrialsReader:
    """Reader of one study. What it leaves out it logs, once."""

    def __init__(self, store: Store, name: str) -> None:
        """Read the fingerprint of a study.

        Args:
            store: its database.
            name: its name in messages.
        """
        self._store = store
        self._name = name
        self._announced: set[str] = set()
        self._foreigners: tuple[ForeignTrials | None] | None = None
        self.fingerprint = fingerprint_of(self.attribute("fingerprint"), store.label)
        self.axes: tuple[Axis, ...] = axes_of(self.fingerprint, store.label)

    def attribute(self, key: str) -> Any:
        """Return an attribute of the study; None if there is none, or if it is damaged."""
        try:
            return attribute_of(key, readable(self._store.attributes(), key))
        except DamageError as error:
            self._announce([f"attribute {key} of {self._name} is damaged and left out: {error}"])
            return None

    def read(self, earlier: Reading | None) -> Reading:
        """Return the trials, without what is read when it is asked for.

        Args:
            earlier: an earlier reading; it is returned if nothing has been stored since.

        Raises:
            DamagedStudyError: there are trials, and none can be read.
            StudyReplacedError: the study was deleted, and another was made under its name.
        """
        version = self._store.version()
        if earlier is not None and version is not None and version == earlier.version:
            return earlier
        known = {} if earlier is None else earlier.trials
        return replace(self._read(lambda: self._store.trials(known), earlier, whole=False), version=version)

    def read_all(self, rows: Rows) -> Reading:
        """Return the trials with all that a search needs of them.

        Args:
            rows: reads the stored trials.

        Raises:
            DamagedStudyError: there are trials, and none can be read.
        """
        return self._read(rows, None, whole=True)

    def _read(self, rows: Rows, earlier: Reading | None, *, whole: bool) -> Reading:
        stored = self._store.attributes()  # first: only trials complete by then have repeats
        repeats, settings = repeat_documents(stored), tuple(or_reason(stored, key) for key in SETTINGS)
        if earlier is not None and or_reason(stored, "fingerprint") != self.fingerprint:
            raise StudyReplacedError(f"a study must stay the one that was opened, {self._store.label} is another")
        if earlier is not None and earlier.settings != settings:
            earlier, self._foreigners = None, None
        with uncollected():
            trials, unreadable = rows()
            laws = Laws(self.axes, self._identified, whole)
            reading = read_trials(trials, unreadable, repeats, laws, self._foreign, earlier)
        lines = reading.lines(self._name)
        if reading.nothing:
            raise DamagedStudyError(f"a study must have a trial that can be read, it has none: {lines[0]}")
        self._announce(lines)
        return replace(reading, settings=settings)

    def _announce(self, lines: Sequence[str]) -> None:
        for line in lines:
            if line not in self._announced:
                self._announced.add(line)
                log.warning("%s", line)

    @cached_property
    def _identified(self) -> bool:
        return is_of_space(self.fingerprint)

    def _foreign(self) -> ForeignTrials | None:
        if self._foreigners is None:
            self._foreigners = (ForeignTrials.of(self.fingerprint, self.axes, self.attribute("config")),)
        return self._foreigners[0]
