"""State of one training, as a study stores it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class TrainingState:
    """State of a trial's own training or of a repeat, as last stored. None for what is not stored.

    Attributes:
        attempt: number of the last job, from 1; 0 before the first one.
        to_epoch: last epoch that the last job was to train.
        devices: number of devices of the last job.
        frozen: whether the training waits with a checkpoint, and no job runs.
        epochs: epochs trained.
        seconds: training seconds.
        clock: seconds on the search's clock when the state was stored.
        checkpoint: newest checkpoint, relative to the study's folder.
        retries: number of retries by kind of failure, over all runs of the search.
        micro_batches: parts that each batch is cut into; None for whole batches.
        disinherited: whether the parent's weights could not be read, so that it starts from fresh weights.
        others: keys of other versions, kept as they are.
    """

    attempt: int | None = None
    to_epoch: int | None = None
    devices: int | None = None
    frozen: bool | None = None
    epochs: int | None = None
    seconds: float | None = None
    clock: float | None = None
    checkpoint: str | None = None
    retries: Mapping[str, int] | None = None
    micro_batches: int | None = None
    disinherited: bool | None = None
    others: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the state as a JSON object, without what is not stored.

        >>> TrainingState(attempt=2, frozen=False, others={"new": 1}).to_json()
        {'attempt': 2, 'frozen': False, 'new': 1}
        """
        stored = {name: getattr(self, name) for name in _KEYS if getattr(self, name) is not None}
        if self.retries is not None:
            stored["retries"] = dict(self.retries)
        return {**stored, **self.others}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TrainingState:
        """Return the state that `to_json` wrote."""
        known = {key: value for key, value in document.items() if key in _KEYS}
        return cls(**known, others={key: value for key, value in document.items() if key not in _KEYS})


_KEYS = tuple(field.name for field in fields(TrainingState) if field.name != "others")
