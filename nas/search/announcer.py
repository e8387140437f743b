"""Announcements of a search to its observers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

from nas.study.progress import Observer, Progress
from nas.study.trial import Record


@final
class Announcer:
    """Tells the observers about ended trials and progress, after the free slots have got their jobs.

    A trial is announced with the progress at its end, however much later the observers hear of it.
    """

    def __init__(self, observers: Sequence[Observer], progress: Callable[[], Progress]) -> None:
        """Start with nothing to announce.

        Args:
            observers: the observers.
            progress: returns the progress of the search.
        """
        self._observers = observers
        self._progress = progress
        self._ended: list[tuple[Record, Progress]] = []

    def add(self, record: Record) -> None:
        """Remember a trial that has ended; repeats are not announced."""
        if not record.repeats and record.ended:
            self._ended.append((record, self._progress()))

    def announce(self) -> None:
        """Announce the remembered trials, then the progress."""
        for record, progress in self._ended:
            for observer in self._observers:
                observer.on_trial(record, progress)
        self._ended.clear()
        if self._observers:
            progress = self._progress()
            for observer in self._observers:
                observer.on_progress(progress)

    def end(self, reason: str) -> None:
        """Announce the end of the search."""
        for observer in self._observers:
            observer.on_end(self._progress(), reason)
