"""Jobs for the trials of a search, built once their devices are free."""

from __future__ import annotations

import logging
from typing import final

from nas.evaluation.pump import Request
from nas.jobs import Job, Parent
from nas.jobs.links import stored_file
from nas.search.parts import SearchParts
from nas.search.state import SearchState

log = logging.getLogger(__name__)


@final
class RequestBuilder:
    """Builds the next job of a trial, from its newest checkpoint."""

    def __init__(self, parts: SearchParts, state: SearchState, epochs: int) -> None:
        """Keep what jobs are built from.

        Args:
            parts: the parts of the search.
            state: the state of the search.
            epochs: full horizon of a training.
        """
        self._parts = parts
        self._state = state
        self._epochs = epochs

    def request(self, number: int, to_epoch: int) -> Request:
        """Return the request to train trial `number` to `to_epoch`, less the epochs that its parent spares."""
        devices = self._parts.devices(self._state.records[number].candidate.architecture)
        return Request(number, devices, lambda devices: self._job(number, to_epoch, devices))

    def _job(self, number: int, to_epoch: int, devices: int) -> Job:
        record, folder = self._state.records[number], self._state.folder(number)
        parent = self._parent(number)
        goal = min(to_epoch, self._epochs - (parent.skips if parent else 0))
        attempt = self._state.begin_attempt(number, goal, devices)
        checkpoint, epoch = self._parts.latest(folder) or (None, 0)
        return Job(
            trial=number,
            attempt=attempt,
            architecture=record.candidate.architecture,
            seed=record.repeating.seed if record.repeating else record.candidate.seed,
            from_epoch=epoch,
            to_epoch=max(epoch, goal),
            folder=folder,
            checkpoint=checkpoint,
            micro_batches=self._state.micro_batches(number),
            devices=devices,
            repeat=len(record.repeats) if record.repeating else 0,
            parent=parent,
        )

    def _parent(self, number: int) -> Parent | None:
        """Return the network whose weights a trial starts from; repeats start from fresh weights."""
        record = self._state.records[number]
        if record.descent is None or record.repeating:
            return None
        ancestor = self._state.records.get(record.descent.trial)
        if ancestor is None:
            log.warning("trial %d is trained in full: its parent, trial %d, is lost", number, record.descent.trial)
            self._state.disinherit(number)
            return None
        checkpoint = stored_file(self._parts.study.folder, str(ancestor.training.checkpoint))
        return Parent(record.descent.trial, ancestor.candidate.architecture, checkpoint, record.descent.skips)
