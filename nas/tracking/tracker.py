"""Trackers: the protocol that each keeps, and the one that a configuration names.

A tracker is a module of this package, or an object at a dotted path, with a function
`make(spec, study, circumstances, **options) -> Tracker`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable

from nas.config.tracking import TrackingSpec
from nas.study.progress import Observer
from nas.study.study import Study
from nas.tracking.redaction import redact
from search_space.plugins import PluginError, PluginKind

TRACKER = PluginKind("tracking.name", "nas.tracking", "make")
ARGUMENTS = 3
"""Positional arguments of `make`: the specification, the study and the circumstances."""


@runtime_checkable
class Tracker(Observer, Protocol):
    """Observer that records a search beside its study; a context manager that closes itself."""

    def close(self) -> None:
        """Finish recording and release processes and files; a second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def check_tracker(spec: TrackingSpec) -> None:
    """Refuse a tracker that does not exist, or an option that it does not take.

    Raises:
        PluginError: as above; the message lists the trackers or the options.
    """
    TRACKER.bind(spec.name, spec.options, arguments=ARGUMENTS)


def open_tracker(spec: TrackingSpec, study: Study, circumstances: Mapping[str, Any]) -> Tracker:
    """Return the tracker that `spec` names; close it after the search.

    Args:
        spec: the tracker and its settings.
        study: the study, locked by this driver.
        circumstances: configuration and environment, as JSON; the tracker gets them without folder names and passwords.

    Raises:
        PluginError: there is no such tracker, it takes no such option, or it lacks a method of `Tracker`.
    """
    make = TRACKER.bind(spec.name, spec.options, arguments=ARGUMENTS)
    tracker = make(spec, study, redact(circumstances))
    if not isinstance(tracker, Tracker):
        raise PluginError(
            f"tracking.name must name a function that returns a Tracker (see nas/tracking/tracker.py), "
            f"{spec.name} returned {type(tracker).__name__}"
        )
    return tracker
