"""What a network whose costs are known promises: the exact expected hypervolume improvement, in closed form.

All values are losses to be minimised, inside a box whose worst corner is 1 on every axis. One loss is not known before
training: a = μ + σZ with Z standard normal. The k ≥ 0 others are known costs c.

*Derivation.* Let the front hold the points (aᵢ, cᵢ), and call b(x) = min({aᵢ : cᵢ ≤ x} ∪ {1}) the best loss that is
had so far for costs of at most x. Of the line above x in the box, {(t, x) : t < 1}, the front dominates what lies at
t ≥ b(x). A new point (a, c) dominates what lies at t ≥ a, for all x ≥ c. So it adds

    HVI(a) = ∫_{[c,1]} max(b(x) − a, 0) dx,

and since expectation and integral may be exchanged (the integrand is not negative),

    E[HVI] = ∫_{[c,1]} EI(b(x)) dx,    EI(b) = E[max(b − a, 0)] = (b − μ) Φ(z) + σ φ(z),    z = (b − μ) / σ.

b is constant on cells: it equals the j-th best loss of the front on what cⱼ dominates and no better point's costs do.
Cut into disjoint boxes [l, u] with their levels b, the integral is the finite sum

    E[HVI] = Σ_boxes vol([l, u] ∩ [c, 1]) · EI(b),    vol([l, u] ∩ [c, 1]) = Π_d max(u_d − max(l_d, c_d), 0),

area × expected improvement, whatever k is. With k = 0 it is the expected improvement itself. A loss below 0 counts as
what it is, where a hypervolume cuts it off.

Box decompositions of the improvement for several unknown objectives are Yang et al. 2019 and Daulton et al. 2020.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float64]

Improvement = Callable[[Floats, Floats, Floats], Floats]
"""Expected improvements on best losses, for losses of these means and deviations; arrays that broadcast."""

CHUNK = 2_000_000
"""Numbers that a step of the sum may hold at once."""


@dataclass(frozen=True)
class Cells:
    """The space of costs in disjoint boxes, on each of which the best loss so far is the same.

    Attributes:
        lower: (b, k) lower corners, −∞ where a box has no end.
        upper: (b, k) upper corners, at most 1.
        level: (b,) best loss so far, at most the reference; it never falls from one box to the next.
    """

    lower: Floats
    upper: Floats
    level: Floats


def cells(losses: Floats, costs: Floats, reference: float = 1.0) -> Cells:
    """The cells that the points of a front make.

    Args:
        losses: (n,) the loss that training tells. Points need not be on the front.
        costs: (n, k) the losses that are known, k at least 0.
        reference: the loss from which on a point counts for nothing.
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
            left += _beyond(lower, upper, costs[point])
        free = left
    found += [(lower, upper, reference) for lower, upper in free]
    return Cells(
        np.array([lower for lower, _, _ in found]).reshape(len(found), dimensions),
        np.array([upper for _, upper, _ in found]).reshape(len(found), dimensions),
        np.array([level for _, _, level in found]),
    )


def _beyond(lower: Floats, upper: Floats, point: Floats) -> list[tuple[Floats, Floats]]:
    """Disjoint boxes that make up what of a box the point does not dominate."""
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
    """E[max(best − a, 0)] for normal a; arrays that broadcast, deviations at least 0."""
    safe = np.maximum(deviations, 1e-12)
    z = (best - means) / safe
    return (best - means) * ndtr(z) + safe * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)  # type: ignore[no-any-return]


def expected_log_improvement(shift: float) -> Improvement:
    """As `expected_improvement`, where log(a + shift) is normal with these means and deviations.

    E[max(b − a, 0)] = (b + s) Φ(d) − exp(μ + σ²/2) Φ(d − σ) with d = (log(b + s) − μ) / σ, as of an option to sell.

    Args:
        shift: s, at least 0; above minus every loss.
    """

    def improvement(best: Floats, means: Floats, deviations: Floats) -> Floats:
        safe = np.maximum(deviations, 1e-12)
        d = (np.log(best + shift) - means) / safe
        return (best + shift) * ndtr(d) - np.exp(means + 0.5 * safe**2) * ndtr(d - safe)  # type: ignore[no-any-return]

    return improvement


def expected_hypervolume_improvement(
    known: Cells, costs: Floats, means: Floats, deviations: Floats, improvement: Improvement = expected_improvement
) -> Floats:
    """What each of n networks is expected to add to the hypervolume.

    Args:
        known: the cells of what is known, see `cells`.
        costs: (n, k) their known losses.
        means: (n,) expected loss of each, or what else `improvement` takes.
        deviations: (n,) its standard deviation, at least 0.
        improvement: expected improvement for the distribution of the losses; normal, where nothing else is said.

    Returns:
        (n,) expected improvements, at least 0.
    """
    total = np.zeros(len(means))
    if len(means) == 0:
        return total
    step = max(1, CHUNK // (len(means) * max(1, costs.shape[1])))
    for start in range(0, len(known.level), step):
        part = slice(start, start + step)
        sides = known.upper[None, part] - np.maximum(known.lower[None, part], costs[:, None, :])
        volumes = np.maximum(sides, 0.0).prod(axis=2)
        gains = improvement(known.level[None, part], means[:, None], deviations[:, None])
        total += (volumes * gains).sum(axis=1)
    return np.maximum(total, 0.0)
