"""Configuration of the training recipe; imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("one_cycle", "cosine")
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")


@dataclass(frozen=True)
class Recipe:
    """Training recipe: every setting of a training except the network, the data and the seed.

    Weight decay does not apply to one-dimensional parameters (normalisation scales and shifts, biases).

    Attributes:
        epochs: epochs of a full training, at least 1; the schedule spans all of them, also if the training is split
            into several jobs.
        batch_size: images a training step, at least 2 (batch normalisation needs two).
        optimizer: `sgd` (with Nesterov momentum) or `adamw`.
        learning_rate: peak learning rate of the schedule, positive.
        momentum: momentum of SGD, or first decay rate of AdamW, in (0, 1).
        weight_decay: weight decay, at least 0; SGD adds it to the gradient, AdamW decouples it.
        schedule: `one_cycle` (cosine increase, cosine decay) or `cosine` (linear warm-up, cosine decay).
        warmup: share of the epochs over which the learning rate rises, in [0, 1).
        label_smoothing: share of the target distribution that is spread over all classes, in [0, 1).
        ema_decay: decay a step of an exponential moving average of the weights, which validation then uses, in
            (0, 1); None for no average.
        gradient_clip: largest norm of the whole gradient, positive; None for no clipping.
        precision: `32-true`, `bf16-mixed` or `16-mixed`.

    Raises:
        ValueError: a setting out of range.
    """

    epochs: int = 12
    batch_size: int = 64
    optimizer: str = "sgd"
    learning_rate: float = 0.3
    momentum: float = 0.9
    weight_decay: float = 0.0005
    schedule: str = "one_cycle"
    warmup: float = 0.25
    label_smoothing: float = 0.0
    ema_decay: float | None = None
    gradient_clip: float | None = None
    precision: str = "32-true"

    def __post_init__(self) -> None:
        laws = (
            (self.epochs >= 1, "epochs must be at least 1", self.epochs),
            (self.batch_size >= 2, "batch_size must be at least 2", self.batch_size),
            (self.optimizer in OPTIMIZERS, f"optimizer must be one of {', '.join(OPTIMIZERS)}", self.optimizer),
            (_positive(self.learning_rate), "learning_rate must be positive and finite", self.learning_rate),
            (0 < self.momentum < 1, "momentum must lie in (0, 1)", self.momentum),
            (0 <= self.weight_decay < math.inf, "weight_decay must be at least 0 and finite", self.weight_decay),
            (self.schedule in SCHEDULES, f"schedule must be one of {', '.join(SCHEDULES)}", self.schedule),
            (0 <= self.warmup < 1, "warmup must lie in [0, 1)", self.warmup),
            (0 <= self.label_smoothing < 1, "label_smoothing must lie in [0, 1)", self.label_smoothing),
            (self.ema_decay is None or 0 < self.ema_decay < 1, "ema_decay must lie in (0, 1)", self.ema_decay),
            (
                self.gradient_clip is None or _positive(self.gradient_clip),
                "gradient_clip must be positive and finite",
                self.gradient_clip,
            ),
            (self.precision in PRECISIONS, f"precision must be one of {', '.join(PRECISIONS)}", self.precision),
        )
        for holds, law, fact in laws:
            if not holds:
                raise ValueError(f"training.{law}, got {fact}")


def _positive(value: float) -> bool:
    return 0 < value < math.inf
