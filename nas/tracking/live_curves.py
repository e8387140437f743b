"""Epochs of running trials that a tracker has not been sent yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import final

from nas.study.progress import Running
from nas.tracking.recorder import Row
from nas.tracking.rows import described


@final
class LiveCurves:
    """Counter of the epochs of running trials; those of repeats are no part of a trial's curve."""

    def __init__(self, ended: Iterable[int]) -> None:
        """Start with no epoch sent.

        Args:
            ended: numbers of the trials that have ended.
        """
        self._sent: dict[int, int] = {}
        self._ended = set(ended)

    def new(self, running: Sequence[Running]) -> Iterator[Row]:
        """Yield the new epochs of each running trial, the first time with what is known before its training."""
        for job in running:
            sent = self._sent.get(job.trial, 0)
            if job.candidate is None or job.trial in self._ended or len(job.curve) <= sent:
                continue
            self._sent[job.trial] = len(job.curve)
            known = {} if sent else described(job.candidate)
            yield {"trial": job.trial, **known, "curve": [epoch.to_json() for epoch in job.curve[sent:]]}

    def end(self, trial: int) -> None:
        """Send no more epochs of a trial, whose row has them all."""
        self._ended.add(trial)
        self._sent.pop(trial, None)
