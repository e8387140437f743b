"""Synthetic samples: learning curves of some networks of a larger space, without training, some with two seeds."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from synthetic_tables import IMAGE, attributes

from nas.objectives.requirements import Requirements
from nas.tabular.columns import SAMPLE
from nas.tabular.table import write_table
from nas.tabular.tabulate.plan import join_rows
from nas.tabular.tabulate.sample import Member, drawn_members, trained_again
from search_space.architecture import Architecture
from search_space.space import Space, parse_space

LARGER: dict[str, Any] = {  # 55,784 architectures
    "name": "larger",
    "stem": {"width": {"low": 4, "high": 16, "step": 4}, "stride": [1, 2]},
    "stages": [
        {
            "depth": [1, 2],
            "block": {
                "branches": {
                    "k1": {"width": {"low": 0, "high": 12, "step": 4}},
                    "k3": {"width": {"low": 0, "high": 12, "step": 4}, "factorization": ["full", "separable"]},
                    "k5": {"width": {"low": 0, "high": 8, "step": 4}},
                }
            },
        }
    ],
}
PORTIONS = {"random": 40, "spread": 30}
EPOCHS, IMAGES, TEST_IMAGES = 4, 288, 359


def larger_space() -> Space:
    return parse_space(LARGER, IMAGE, 10)


def true_logit(architecture: Architecture, macs: float) -> float:
    """Return the logit of the made-up true accuracy: that of the MACs, more with wide branches of 3×3."""
    blocks = [block for stage in architecture.stages for block in stage.blocks]
    wide = sum(branch.width for block in blocks for branch in block.branches if branch.name == "k3")
    return 1.2 * (math.log10(macs) - 4.0) + 0.12 * wide / max(1, len(blocks))


def _rows(member: Member, seed: int) -> list[dict[str, Any]]:
    examined = member.examined
    generator = random.Random(f"{examined.network_id}/{seed}")
    top = true_logit(examined.architecture, examined.costs["macs"]) + generator.gauss(0.0, 0.1)
    seconds = 1e-6 * examined.costs["macs"] + 0.1
    found = []
    for epoch in range(1, EPOCHS + 1):
        logit = top - 2.0 * 0.5**epoch + generator.gauss(0.0, 0.05)
        share = 1.0 / (1.0 + math.exp(-logit))
        seen = np.random.default_rng(generator.getrandbits(32))
        accuracy = seen.binomial(IMAGES, share) / IMAGES
        found.append(
            {
                "network_id": examined.network_id,
                "seed": seed,
                "epoch": epoch,
                "train_loss": 1.1 * (1.0 - share) + 0.1,
                "val_loss": 1.2 * (1.0 - share) + 0.1,
                "val_accuracy": accuracy,
                "val_balanced_accuracy": accuracy,
                "test_accuracy": seen.binomial(TEST_IMAGES, share) / TEST_IMAGES,
                "seconds": seconds * math.exp(generator.gauss(0.0, 0.02)),
                "cpu_seconds": 0.9 * seconds,
            }
        )
    return found


def sample_members() -> list[Member]:
    return drawn_members(larger_space(), PORTIONS)


def synthetic_sample(path: Path, members: Sequence[Member] | None = None, again: float = 0.3) -> Path:
    """Write a sample to `path`; a share `again` of its networks has a second seed."""
    chosen = sample_members() if members is None else list(members)
    twice = trained_again(chosen, again)
    trainings = [(m, seed) for m in chosen for seed in (0, 1) if seed == 0 or m.network_id in twice]
    rows = [row for member, seed in trainings for row in _rows(member, seed)]
    pairs = {(member.network_id, seed) for member, seed in trainings}
    about = attributes(seeds=(0, 1), epochs=EPOCHS)
    about |= {"format": 2, SAMPLE: {"portions": PORTIONS, "again": again}}
    about |= {"space": {**LARGER, "input": list(IMAGE), "classes": 10}}
    write_table(join_rows(chosen, pd.DataFrame(rows), pairs), about, path)
    return path


def examined_truth(architectures: Sequence[Architecture]) -> list[float]:
    requirements = Requirements()
    return [true_logit(each, requirements.measure(each)[1]["macs"]) for each in architectures]
