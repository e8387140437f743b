"""Null tracker, for searches that are recorded in their study alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, final

from nas.config.tracking import TrackingSpec
from nas.study.progress import Progress
from nas.study.study import Study
from nas.study.trial import Record


@final
class NullTracker:
    """Tracker that records nothing."""

    def on_progress(self, progress: Progress) -> None:
        """Do nothing."""

    def on_trial(self, record: Record, progress: Progress) -> None:
        """Do nothing."""

    def on_end(self, progress: Progress, reason: str) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make(_spec: TrackingSpec, _study: Study, _circumstances: Mapping[str, Any]) -> NullTracker:
    """Return a tracker that records nothing."""
    return NullTracker()
