"""One retraining: a picked network with one seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.evaluation.retrain.files import measured
from nas.study.trial import Record


@dataclass(frozen=True)
class Task:
    """One network with one seed.

    Attributes:
        record: the trial that is retrained.
        seed: seeds the initial weights, the batch order and the augmentation.
        folder: where its checkpoints, its log and its result go.
        devices: over how many devices it is trained; more than there are slots is all of them.
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
        """Trial and seed."""
        return f"trial {self.record.number} seed {self.seed}"

    @property
    def architecture(self) -> Mapping[str, Any]:
        """The architecture's JSON form."""
        return self.record.candidate.architecture

    @property
    def done(self) -> bool:
        """Whether it is trained in full and measured, and its weights are there."""
        return measured(self.folder) is not None
