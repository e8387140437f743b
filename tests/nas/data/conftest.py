"""Fixtures of this room: every test has a cache of its own and no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pytest
from PIL import Image

PaintFolder = Callable[[dict[str, int]], Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("NAS_CACHE_DIR", str(folder))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "arrow")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    return folder


@pytest.fixture
def paint(tmp_path: Path) -> PaintFolder:
    """Return a function that writes n RGB noise images of 12x12 into each named subfolder of `images/`."""

    def write(counts: dict[str, int]) -> Path:
        root = tmp_path / "images"
        random = np.random.default_rng(0)
        for name, count in counts.items():
            (root / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / name / f"{number:03}.png")
        return root

    return write
