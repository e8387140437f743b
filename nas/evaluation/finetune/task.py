"""Fine-tuning with one seed, as the driver of a list of trainings takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.evaluation.retrain.files import finished_result


@dataclass(frozen=True)
class FinetuneTask:
    """A network and a seed.

    Attributes:
        architecture: JSON form of the network, see `search_space.documents`.
        seed: seed of the classifier's first weights, the batch order and the augmentation.
        folder: folder of its checkpoints, log and result.
        devices: number of devices that train it, at least 1; a number above that of the slots means all slots.
    """

    architecture: Mapping[str, Any]
    seed: int
    folder: Path
    devices: int = 1

    @property
    def number(self) -> int:
        """Number by which the training's process is named, the seed."""
        return self.seed

    @property
    def label(self) -> str:
        """Name in the log."""
        return f"seed {self.seed}"

    @property
    def done(self) -> bool:
        """True if it is trained in full and measured, and its weights exist."""
        return finished_result(self.folder) is not None
