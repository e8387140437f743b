"""Synthetic tables: a small space with learning curves computed from the architecture, without training."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nas.objectives.requirements import Requirements
from nas.tabular.columns import COLUMNS
from nas.tabular.table import write_table
from search_space.architecture import Architecture
from search_space.graph import Shape
from search_space.identity import canonical_json
from search_space.space import parse_space

IMAGE = Shape(1, 8, 8)
MAPPING: dict[str, Any] = {  # 16 architectures
    "name": "made_up",
    "stem": {"width": [4, 8], "stride": [1, 2]},
    "stages": [{"depth": 1, "block": {"branches": {"k1": {"width": [0, 4]}, "k3": {"width": [4, 8]}}}}],
}


def attributes(
    seeds: Sequence[int] = (0, 1, 2), epochs: int = 3, mapping: Mapping[str, Any] = MAPPING
) -> dict[str, Any]:
    return {
        "format": 1,
        "data": {"name": "digits", "source": "digits", "content": "0" * 64, "split_seed": 0},
        "split": {"train": 1150, "validation": 288, "test": 359, "split_seed": 0},
        "training": {"epochs": epochs, "batch_size": 64},
        "space": {**MAPPING, "input": list(IMAGE), "classes": 10},
        "test_images": 359,
        "early_test_images": 359,
        "val_images": 288,
        "seeds": list(seeds),
        "epochs": epochs,
        "device": "cpu",
        "environment": {"python": "3.11"},
    }


def rows(about: Mapping[str, Any]) -> pd.DataFrame:
    """Return rows for all architectures, seeds and epochs; accuracy grows with epochs and MACs, with noise."""
    mapping = {key: value for key, value in about["space"].items() if key not in {"input", "classes"}}
    space = parse_space(mapping, IMAGE, 10)
    found = [
        row
        for architecture in space.architectures()
        for seed in about["seeds"]
        for row in _training(architecture, seed, about["epochs"])
    ]
    return pd.DataFrame(found, columns=list(COLUMNS))


def _training(architecture: Architecture, seed: int, epochs: int) -> list[dict[str, Any]]:
    known = Requirements().examine(architecture)
    fixed = {
        "architecture": canonical_json(architecture.to_json()),
        "id": architecture.id,
        "network_id": known.network_id,
        "summary": known.summary,
        "params": int(known.costs["params"]),
        "macs": int(known.costs["macs"]),
        "memory_mib": float(known.costs["memory_mib"]),
        "seed": seed,
    }
    generator = random.Random(f"{known.network_id}/{seed}")
    top = 0.5 + 0.08 * math.log10(known.costs["macs"]) + generator.gauss(0, 0.01)
    return [{**fixed, "epoch": epoch, **_scores(top, epoch, generator)} for epoch in range(1, epochs + 1)]


def _scores(top: float, epoch: int, generator: random.Random) -> dict[str, float]:
    accuracy = min(1.0, max(0.0, top * (1 - 0.5**epoch) + generator.gauss(0, 0.005)))
    seconds = 0.5 + generator.random() / 10
    return {
        "train_loss": 2.3 * 0.6**epoch,
        "val_loss": 2.3 * 0.7**epoch,
        "val_accuracy": accuracy,
        "val_balanced_accuracy": accuracy,
        "test_accuracy": min(1.0, accuracy + generator.gauss(0, 0.005)),
        "seconds": seconds,
        "cpu_seconds": 0.9 * seconds,
    }


def synthetic_table(path: Path, seeds: Sequence[int] = (0, 1, 2), epochs: int = 3) -> Path:
    """Write a complete table to `path`."""
    about = attributes(seeds, epochs)
    write_table(rows(about), about, path)
    return path
