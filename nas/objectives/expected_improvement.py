"""Expected hypervolume improvement with known costs: exact, in closed form.

Numerator of the acquisition function of `sampler=known_cost` (`nas/samplers/known_cost/acquisition.py`), and the score
of `fidelity=freeze_thaw`.

All values are losses to be minimised, inside a box whose worst corner (the reference point) is 1 on every axis. One
loss is unknown before training: a = μ + σZ with Z standard normal. The k ≥ 0 others are known costs c.

*Derivation.* Let the front hold the points (aᵢ, cᵢ), and let b(x) = min({aᵢ : cᵢ ≤ x} ∪ {1}) be the best loss so far
at costs of at most x. On the line above x in the box, {(t, x) : t < 1}, the front dominates the points with t ≥ b(x).
A new point (a, c) dominates those with t ≥ a, for all x ≥ c. So its hypervolume improvement is

    HVI(a) = ∫_{[c,1]} max(b(x) − a, 0) dx,

and since the integrand is not negative, expectation and integral may be exchanged (Tonelli):

    E[HVI] = ∫_{[c,1]} EI(b(x)) dx,    EI(b) = E[max(b − a, 0)] = (b − μ) Φ(z) + σ φ(z),    z = (b − μ) / σ.

b is piecewise constant: it equals the j-th best loss of the front on the region that cⱼ dominates and the costs of no
better point do. With that region decomposed into disjoint boxes [l, u] of level b, the integral is the finite sum

    E[HVI] = Σ_boxes vol([l, u] ∩ [c, 1]) · EI(b),    vol([l, u] ∩ [c, 1]) = Π_d max(u_d − max(l_d, c_d), 0),

volume × expected improvement, for any k. With k = 0 it is the expected improvement itself. A loss below 0 is not
clipped, while `nas.objectives.pareto.hypervolume` clips it.

Yang et al. 2019 and Daulton et al. 2020 decompose the improvement for several unknown objectives into boxes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

Improvement = Callable[[Floats, Floats, Floats], Floats]
"""Function (best, means, deviations) → expected improvements on the best losses; the arrays broadcast."""

CHUNK = 2_000_000
"""Largest number of floats in one temporary array of the sum."""


@dataclass(frozen=True)
class BoxDecomposition:
    """Partition of the cost space into boxes on each of which the best loss so far is constant.

    Attributes:
        lower: (b, k) lower corners, −∞ where a box is unbounded.
        upper: (b, k) upper corners, at most 1.
        level: (b,) best loss so far, at most the reference; non-decreasing from box to box.
    """

    lower: Floats
    upper: Floats
    level: Floats


def box_decomposition(losses: Floats, costs: Floats, reference: float = 1.0) -> BoxDecomposition:
    """Return the box decomposition that a set of points induces.

    Args:
        losses: (n,) losses measured by training. Points may be dominated.
        costs: (n, k) known losses, k at least 0.
        reference: coordinate of the reference point on the axis of `losses`; points at or beyond it are ignored.
    """
    inside = np.flatnonzero((losses < reference) & (costs < 1).all(axis=1))
    order = inside[np.argsort(losses[inside], kind="stable")]
    dimensions = costs.shape[1]
    free = [(np.full(dimensions, -np.inf), np.ones(dimensions))]
    found: list[tuple[Floats, Floats, float]] = []
    for point in order:
        left: list[tuple[Floats, Floats]] = []
        for lower, upper in free:
            if (costs[point] >= upper).any():
                left.append((lower, upper))
                continue
            found.append((np.maximum(lower, costs[point]), upper, float(losses[point])))
            left += _not_dominated(lower, upper, costs[point])
        free = left
    found += [(lower, upper, reference) for lower, upper in free]
    return BoxDecomposition(
        np.array([lower for lower, _, _ in found]).reshape(len(found), dimensions),
        np.array([upper for _, upper, _ in found]).reshape(len(found), dimensions),
        np.array([level for _, _, level in found]),
    )


def _not_dominated(lower: Floats, upper: Floats, point: Floats) -> list[tuple[Floats, Floats]]:
    """Return disjoint boxes that cover the part of a box which the point does not dominate."""
    parts = []
    lower = lower.copy()
    for axis in range(len(point)):
        if point[axis] > lower[axis]:
            end = upper.copy()
            end[axis] = point[axis]
            parts.append((lower.copy(), end))
            lower[axis] = point[axis]
    return parts


def expected_improvement(best: Floats, means: Floats, deviations: Floats) -> Floats:
    """Return E[max(best − a, 0)] for a normal a (Jones et al. 1998, eq. 15).

    Args:
        best: best losses so far; broadcasts with the others.
        means: means of a.
        deviations: standard deviations of a, at least 0.
    """
    safe = np.maximum(deviations, 1e-12)
    z = (best - means) / safe
    return (best - means) * ndtr(z) + safe * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)  # type: ignore[no-any-return]


def expected_log_improvement(shift: float) -> Improvement:
    """Return the expected improvement for losses of which log(a + shift) is normal.

    E[max(b − a, 0)] = (b + s) Φ(d) − exp(μ + σ²/2) Φ(d − σ) with d = (log(b + s) − μ) / σ, the formula of Black and
    Scholes (1973) for a put option.

    Args:
        shift: s, at least 0; a + s is positive for every loss a.

    Returns:
        A function like `expected_improvement`, whose means and deviations are those of log(a + shift).
    """

    def improvement(best: Floats, means: Floats, deviations: Floats) -> Floats:
        safe = np.maximum(deviations, 1e-12)
        d = (np.log(best + shift) - means) / safe
        return (best + shift) * ndtr(d) - np.exp(means + 0.5 * safe**2) * ndtr(d - safe)  # type: ignore[no-any-return]

    return improvement


def expected_hypervolume_improvement(
    boxes: BoxDecomposition,
    costs: Floats,
    means: Floats,
    deviations: Floats,
    improvement: Improvement = expected_improvement,
) -> Floats:
    """Return the expected hypervolume improvement of n candidates, E[HVI] of the module's derivation.

    Args:
        boxes: decomposition that the points measured so far induce.
        costs: (n, k) known losses of the candidates.
        means: (n,) means of their unknown losses, as `improvement` takes them.
        deviations: (n,) standard deviations, at least 0.
        improvement: expected improvement under the distribution of the losses; a normal one by default.

    Returns:
        (n,) expected improvements, at least 0.
    """
    total = np.zeros(len(means))
    if len(means) == 0:
        return total
    step = max(1, CHUNK // (len(means) * max(1, costs.shape[1])))
    for start in range(0, len(boxes.level), step):
        part = slice(start, start + step)
        sides = boxes.upper[None, part] - np.maximum(boxes.lower[None, part], costs[:, None, :])
        volumes = np.maximum(sides, 0.0).prod(axis=2)
        gains = improvement(boxes.level[None, part], means[:, None], deviations[:, None])
        total += (volumes * gains).sum(axis=1)
    return np.maximum(total, 0.0)
