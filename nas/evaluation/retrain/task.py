"""Retraining of one network with one seed, as the driver of a list of trainings takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.evaluation.retrain.files import finished_result
from nas.study.trial import Record


@dataclass(frozen=True)
class RetrainTask:
    """A picked network and a seed.

    Attributes:
        record: the trial that is retrained.
        seed: seed of the initial weights, the batch order and the augmentation.
        folder: folder of its checkpoints, log and result.
        devices: number of devices that train it, at least 1; a number above that of the slots means all slots.
    """

    record: Record
    seed: int
    folder: Path
    devices: int = 1

    @property
    def number(self) -> int:
        """The trial's number."""
        return self.record.number

    @property
    def label(self) -> str:
        """Trial and seed, for a log."""
        return f"trial {self.record.number} seed {self.seed}"

    @property
    def architecture(self) -> Mapping[str, Any]:
        """JSON form of the architecture."""
        return self.record.candidate.architecture

    @property
    def done(self) -> bool:
        """True if it is trained in full and measured, and its weights exist."""
        return finished_result(self.folder) is not None
