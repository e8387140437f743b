"""Follower of one study: rereads it while somebody looks, and keeps its feed.

All viewers share one reader, so that many cost a search no more than one. New trials are read at once; the belief about
them takes longer, and is computed beside that and with pauses, for a small share of a processor. Nothing is read or
computed while nobody looks.
"""

from __future__ import annotations

import gc
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

from nas.reports.document import Assessment, DocumentMaker, ReportContext, assess
from nas.reports.document.importances import importances
from nas.reports.live.feed import Feed
from nas.reports.measures import cost_names
from nas.study.belief import Believer
from nas.study.live import read_live
from nas.study.study import Study
from nas.study.summary import StudyReader
from nas.study.trial import Record

POLL_SECONDS = 0.5
LONGEST_PAUSE = 1.5
"""Seconds between two looks at a study, at most: a new trial is shown within two."""
SHARE = 20
"""Pause after a computation, as a multiple of the time that it took."""
LINGER_SECONDS = 20.0
"""Seconds for which a study is followed after the last request."""
PATIENCE = 0.7
"""Seconds that the first document waits for the belief, before it shows what was measured."""
FOLLOWER, SLOW = "live page: follower", "live page: computation"
"""Names of threads."""
ERRORS = (ValueError, OSError, sqlite3.Error)

SETTINGS_FILE = "config.yaml"
RESULTS = ("retrain/*/result.json", "retrain/baselines/*/result.json", "latency/*.json")

Stamp = tuple[tuple[str, int, int], ...]
T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """Study that can be followed.

    Attributes:
        name: its name.
        open: opens it for reading.
        context: returns facts about it from outside of it.
    """

    name: str
    open: Callable[[], StudyReader]
    context: Callable[[Study], ReportContext]


@final
class Follower:
    """Reader of one study, shared by all who look at it."""

    def __init__(self, source: Source, published: Callable[[], None]) -> None:
        """Follow nothing yet.

        Args:
            source: the study.
            published: called in a thread of the follower after each change of the feed.
        """
        self.feed = Feed()
        self.trouble: str | None = None
        self._source = source
        self._published = published
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wanted_until = 0.0
        self._viewers = 0
        self._stopped = threading.Event()
        self._opened = threading.Event()
        self._following: _Following | None = None

    @property
    def now(self) -> tuple[StudyReader, ReportContext] | None:
        """Reader of the study and facts about it; None if it can't be read."""
        following = self._following
        return None if following is None else (following.reader, following.context)

    def look(self) -> None:
        """Follow the study for some time from now on."""
        with self._lock:
            self._wanted_until = time.monotonic() + LINGER_SECONDS
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=FOLLOWER, daemon=True)
                self._thread.start()

    @contextmanager
    def viewer(self) -> Iterator[None]:
        """Follow the study during the block."""
        with self._lock:
            self._viewers += 1
        self.look()
        try:
            yield
        finally:
            with self._lock:
                self._viewers -= 1
            self.look()

    def stop(self) -> None:
        """Follow no longer, and wait no longer for the first reading."""
        self._stopped.set()
        self._opened.set()

    def wait(self) -> None:
        """Wait until the study has been read, or could not be."""
        self.look()
        self._opened.wait()

    def _wanted(self) -> bool:
        with self._lock:
            wanted = self._viewers or time.monotonic() < self._wanted_until
            if wanted and not self._stopped.is_set():
                return True
            self._thread = None
            return False

    def _run(self) -> None:
        while self._wanted():
            began = time.thread_time()
            try:
                self._step()
                self._trouble(None)
            except ERRORS as error:
                self._trouble(" ".join(str(error).split()) or type(error).__name__)
            except Exception:  # a page must not stand still in silence
                log.exception("the study %s can't be followed", self._source.name)
                self._trouble("it can't be read; the terminal says more")
            self._opened.set()
            self._stopped.wait(min(LONGEST_PAUSE, max(POLL_SECONDS, SHARE * (time.thread_time() - began))))

    def _trouble(self, trouble: str | None) -> None:
        self.trouble = trouble
        if self.feed.update({"trouble": trouble}):
            self._published()

    def _step(self) -> None:
        if self._following is None:
            self._following = _Following(self._source, self._source.open(), self.feed)
            gc.freeze()  # no search for cyclic garbage need look at the records again
        elif not self._following.reread():
            self.feed = Feed()
            self._following = _Following(self._source, self._following.reader, self.feed)
        if self._following.show():
            self._published()


@dataclass(frozen=True)
class _Shown:
    """State of a study that the feed shows."""

    reader: StudyReader
    assessment: Assessment
    context: ReportContext
    driven: bool


@final
class _Following:
    """State of a study that is followed: its reader, and what is computed from its trials."""

    def __init__(self, source: Source, reader: StudyReader, feed: Feed) -> None:
        reader.study.stop_waiting()  # a page must not hang: it shows the trouble, and asks again
        self.reader = reader
        self._source, self._feed = source, feed
        self._outside = _outside_stamp(reader.study)
        self._maker = DocumentMaker(reader.study, source.context(reader.study))
        self._shown: _Shown | None = None
        self._rest_until = 0.0
        study, axis = reader.study, self._maker.y_axis(reader.records)
        self._assessment = Slow(lambda records: assess(records, study.believer, axis.name), SHARE)
        costs = cost_names([record.candidate.costs for record in reader.records[:1]])
        self._importance = Slow(lambda records: importances(records, axis, costs), 2 * SHARE)

    @property
    def context(self) -> ReportContext:
        """Facts about the study from outside of it."""
        return self._maker.context

    def reread(self) -> bool:
        """Read what is new; return whether the study is still the one that was opened."""
        reader = self.reader.reread()
        same = reader.study is self.reader.study and len(reader.records) >= len(self.reader.records)
        self.reader = reader
        return same

    def show(self) -> bool:
        """Bring the feed up to date; return whether it has changed."""
        study, records = self.reader.study, self.reader.records
        if (outside := _outside_stamp(study)) != self._outside:
            self._outside, self._maker.context = outside, self._source.context(study)
        driven = study.is_driven()
        self._assessment.look(records)
        if self._shown is None:
            self._assessment.wait(PATIENCE)
        else:  # once something is shown
            self._importance.look(records)
        found = self._assessment.result or (self._shown.assessment if self._shown else self._measured())
        fields: dict[str, Any] = {"importance": self._importance.result}
        fields["live"] = read_live(study.folder) if driven else None
        rows: list[Mapping[str, Any]] = []
        shown = _Shown(self.reader, found, self.context, driven)
        if self._is_due(shown):
            began = time.thread_time()
            rows.extend(self._maker.rows(records, found, driven=driven))
            fields |= self._maker.fields(records, found, driven=driven)
            fields["choices"] = self._maker.choices.to_json()
            self._shown = shown
            self._rest_until = time.monotonic() + SHARE * (time.thread_time() - began)
        return self._feed.update(fields, rows)

    def _is_due(self, new: _Shown) -> bool:
        """Return whether a new state is to be shown now: at once if a trial has ended, after a pause if one goes on."""
        old = self._shown
        if old is None or new.assessment is not old.assessment or new.context is not old.context:
            return True
        if new.driven != old.driven or any(record.ended for record in new.reader.changed_since(old.reader)):
            return True
        return new.reader is not old.reader and time.monotonic() >= self._rest_until

    def _measured(self) -> Assessment:
        """Return what was measured, for as long as the belief is not known."""
        axes, records = self.reader.study.axes, self.reader.records
        return assess(records, Believer.of_measured(axes), self._maker.y_axis(records).name)


@final
class Slow(Generic[T]):
    """Computation beside the reader, in a thread of its own and with pauses: one at a time."""

    def __init__(self, compute: Callable[[Sequence[Record]], T], share: float) -> None:
        """Compute nothing yet.

        Args:
            compute: computes something from the trials of the study.
            share: pause after a computation, as a multiple of the processor time that it took.
        """
        self.result: T | None = None
        self._compute, self._share = compute, share
        self._of: object = None
        self._until = 0.0
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self, records: Sequence[Record]) -> None:
        """Begin to compute if there are new results, and the last computation is long enough ago."""
        results = [(record.number, record.trainings) for record in records if record.ended]
        busy = self._thread is not None and self._thread.is_alive()
        if busy or results == self._of or time.monotonic() < self._until:
            return
        self._of = results
        self._thread = threading.Thread(target=self._run, args=(list(records),), name=SLOW, daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait for the first result, for some seconds at most."""
        self._done.wait(seconds)

    def _run(self, records: Sequence[Record]) -> None:
        began = time.thread_time()
        try:
            self.result = self._compute(records)
        except Exception:
            log.exception("the belief about the trials can't be computed")
        self._done.set()
        self._until = time.monotonic() + self._share * (time.thread_time() - began)


def _outside_stamp(study: Study) -> Stamp:
    """Return a value that changes with the files of the study's folder that its context is made of."""
    found = []
    results = sorted(path for pattern in RESULTS for path in study.folder.glob(pattern))
    for path in (study.folder / SETTINGS_FILE, *results):
        with suppress(OSError):
            state = path.stat()
            found.append((str(path), state.st_size, state.st_mtime_ns))
    return tuple(found)
