"""Learning-rate schedules as pure functions of the step, so that a resumed training continues exactly."""

from __future__ import annotations

import math

from nas.config.training import Recipe

START_FACTOR = 1 / 25
"""Initial learning rate of one-cycle over the peak (the default of torch's OneCycleLR)."""

END_FACTOR = START_FACTOR / 1e4
"""Final learning rate of one-cycle over the peak (the default of torch's OneCycleLR)."""


def learning_rate_factor(step: int, total_steps: int, recipe: Recipe) -> float:
    """Return the learning rate of an optimizer step over the recipe's peak.

    One-cycle is the policy of Smith and Topin (2018, arXiv:1708.07120) as in torch's `OneCycleLR`, with fixed momentum;
    cosine is that of SGDR (Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5) without restarts, after a linear
    warm-up.

    Args:
        step: optimizer step, 0-based; from `total_steps` on, the factor of the last step is returned.
        total_steps: steps of the full horizon, at least 1.
        recipe: `schedule` and `warmup` are read.

    Returns:
        A factor in (0, 1].

    >>> [round(learning_rate_factor(step, 9, Recipe(warmup=1 / 3)), 3) for step in range(9)]
    [0.04, 0.52, 1.0, 0.933, 0.75, 0.5, 0.25, 0.067, 0.0]
    """
    step = min(step, total_steps - 1)
    if recipe.schedule == "one_cycle":
        return _one_cycle(step, total_steps, recipe.warmup)
    return _cosine(step, total_steps, recipe.warmup)


def _one_cycle(step: int, total_steps: int, warmup: float) -> float:
    peak = max(0.0, warmup * total_steps - 1)
    if step <= peak:
        return _cosine_between(START_FACTOR, 1.0, step / peak) if peak > 0 else 1.0
    return _cosine_between(1.0, END_FACTOR, (step - peak) / (total_steps - 1 - peak))


def _cosine(step: int, total_steps: int, warmup: float) -> float:
    rise = warmup * total_steps
    if step + 1 < rise:
        return (step + 1) / rise
    # The zero is one step after the last: no step has a learning rate of zero.
    start = max(rise - 1, 0.0)
    return _cosine_between(1.0, 0.0, (step - start) / (total_steps - start))


def _cosine_between(start: float, end: float, progress: float) -> float:
    """Interpolate by half a cosine wave from `start` at progress 0 to `end` at progress 1."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * progress))
