"""Training of a pruned network, as the driver of a list of trainings takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.training.checkpoint_folder import by_epoch


@dataclass(frozen=True)
class PrunedTask:
    """Network after a removal, which is not measured on the test part.

    Attributes:
        number: number of the trial that it was made of.
        architecture: JSON form of the network, see `search_space.documents`.
        folder: folder of its checkpoints and log.
        epochs: length of the training.
        devices: number of devices that train it, at least 1.
        seed: seed of the batch order and the augmentation.
    """

    number: int
    architecture: Mapping[str, Any]
    folder: Path
    epochs: int
    devices: int = 1
    seed: int = 0

    @property
    def label(self) -> str:
        """Name in the log."""
        return f"trial {self.number} pruned"

    @property
    def done(self) -> bool:
        """True if it is trained in full."""
        return self.epochs in by_epoch(self.folder)
