"""Images with a bright bar at one of three places, and settings of a search on them that takes seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LABELS = np.array(["left", "middle", "right"])
SETTINGS: dict[str, Any] = {
    "space": "quick",
    "limits": {"max_macs": 2e5},
    "training": {"epochs": 1, "batch_size": 16},
    "slots": 1,
    "tracking": "none",
    "sampler": "random",
}


@dataclass(frozen=True)
class Bars:
    """Images with a bright bar at one of three places."""

    images: NDArray[np.uint8]
    labels: NDArray[np.str_]


def bars(count: int, seed: int = 0) -> Bars:
    generator = np.random.default_rng(seed)
    places = np.arange(count) % 3
    images = generator.integers(0, 90, (count, 8, 8), dtype=np.uint8)
    images[np.arange(count), :, 1 + 3 * places] += 120
    return Bars(images, LABELS[places])
