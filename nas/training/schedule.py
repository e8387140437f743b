"""The learning rate as a pure function of the step, so that a resumed training takes up exactly where it stood."""

from __future__ import annotations

import math

from nas.config.training import Recipe

START = 1 / 25
"""Where one-cycle begins, as a share of the peak (the default of torch's OneCycleLR)."""

END = START / 1e4
"""Where one-cycle ends, as a share of the peak (the default of torch's OneCycleLR)."""


def learning_rate_factor(step: int, total_steps: int, recipe: Recipe) -> float:
    """The share of the recipe's peak learning rate that optimizer step `step` takes.

    One-cycle is Smith and Topin's policy (2018, arXiv:1708.07120) as torch's `OneCycleLR` has it, with fixed momentum;
    cosine is SGDR's (Loshchilov and Hutter 2017, arXiv:1608.03983, equation 5) without restarts, after a straight
    warm-up.

    Args:
        step: 0-based number of the optimizer step; from `total_steps` on, the last step's share is given.
        total_steps: steps of the full horizon, at least 1.
        recipe: gives the schedule's form and its warm-up share.

    Returns:
        A share in (0, 1].

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
        return _glide(START, 1.0, step / peak) if peak > 0 else 1.0
    return _glide(1.0, END, (step - peak) / (total_steps - 1 - peak))


def _cosine(step: int, total_steps: int, warmup: float) -> float:
    rise = warmup * total_steps
    if step + 1 < rise:
        return (step + 1) / rise
    # The zero lies one step behind the last one: no step is spent at a rate of nothing.
    start = max(rise - 1, 0.0)
    return _glide(1.0, 0.0, (step - start) / (total_steps - start))


def _glide(start: float, end: float, progress: float) -> float:
    """Half a cosine wave from `start` at progress 0 to `end` at progress 1."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * progress))
