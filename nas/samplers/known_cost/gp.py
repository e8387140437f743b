"""A Gaussian process over networks: what a training that nobody has paid for is likely to come to.

f(x) = β·φ(x) + g(x), observed with noise: a linear trend in some features and their squares, and a stationary part with
a Matérn-5/2 kernel whose length scales are shared by groups of features, so that few trainings tell them.
With d_g² the mean squared difference over the features of group g,

    k(x, x') = τ² φ(x)·φ(x') + s² M(r),   r² = Σ_g w_g d_g²,   M(r) = (1 + √5 r + 5r²/3) exp(−√5 r),

and an observation i has variance σ² + δᵢ², δᵢ being what is known of its own doubt (that of a trial that was trained in
part). s², σ² and the w_g are those of highest posterior density (Rasmussen and Williams 2006, ch. 5), found anew for
each fit from the observations alone: nothing is remembered, so a resumed search learns what an unbroken one would have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

Floats = NDArray[np.float64]

TREND_VARIANCE = 0.25
LEARN_FROM = 128
STEPS = 30
JITTER = 1e-6
SIGNAL_PRIOR = (np.log(1.0), 1.0)
NOISE_PRIOR = (np.log(0.01), 1.0)
WEIGHT_PRIOR = (np.log(0.3), 1.5)
BOUNDS = (-9.0, 5.0)


@dataclass(frozen=True)
class Layout:
    """What the columns of a feature matrix are to the process.

    Attributes:
        groups: columns that share a length scale.
        trend: columns whose values and squares the trend is linear in.
    """

    groups: tuple[tuple[int, ...], ...]
    trend: tuple[int, ...]

    def distances(self, a: Floats, b: Floats) -> Floats:
        """Mean squared differences (groups, n, m) between the rows of two matrices, by group."""
        found = np.empty((len(self.groups), len(a), len(b)))
        for index, group in enumerate(self.groups):
            found[index] = _squares(a[:, group], b[:, group]) / len(group)
        return found

    def weighted(self, weights: Floats, a: Floats, b: Floats) -> Floats:
        """The sum (n, m) over the groups of these weights times their `distances`, without a matrix for each group."""
        factors = np.zeros(a.shape[1])
        for group, weight in zip(self.groups, weights, strict=True):
            factors[list(group)] += weight / len(group)
        return _squares(a * np.sqrt(factors), b * np.sqrt(factors))

    def basis(self, x: Floats) -> Floats:
        """(n, p) functions that the trend is made of."""
        chosen = x[:, self.trend]
        return np.column_stack([np.ones(len(x)), chosen, chosen**2])


@dataclass(frozen=True)
class Hyper:
    """What a process has learnt beside its observations, all positive.

    Attributes:
        signal: variance of the stationary part, for values of variance 1.
        noise: variance of an observation.
        weights: (groups,) inverse squared length scales.
    """

    signal: float
    noise: float
    weights: Floats


@dataclass(frozen=True)
class Observations:
    """What the process has seen.

    Attributes:
        x: (n, f) features.
        y: (n,) values.
        deviations: (n,) standard deviation of each beyond the common noise, at least 0.
    """

    x: Floats
    y: Floats
    deviations: Floats

    @cached_property
    def scale(self) -> tuple[float, float]:
        """Mean and standard deviation of the values; 1 where they are all the same."""
        return float(self.y.mean()), float(self.y.std()) or 1.0

    def every(self, count: int) -> Observations:
        """At most `count` of them, evenly spread over their order."""
        if len(self.y) <= count:
            return self
        chosen = np.unique(np.linspace(0, len(self.y) - 1, count).round().astype(int))
        return Observations(self.x[chosen], self.y[chosen], self.deviations[chosen])

    def joined(self, other: Observations) -> Observations:
        """These and others."""
        return Observations(
            np.vstack([self.x, other.x]),
            np.concatenate([self.y, other.y]),
            np.concatenate([self.deviations, other.deviations]),
        )


@dataclass(frozen=True)
class Process:
    """The posterior: `mean` and `deviation` of the value at any features, without the noise of an observation."""

    layout: Layout
    hyper: Hyper
    seen: Observations
    centre: float
    spread: float

    @cached_property
    def _factor(self) -> Floats:
        covariance = self._covariance(self.seen.x, self.seen.x)
        own = (self.seen.deviations / self.spread) ** 2
        covariance[np.diag_indices_from(covariance)] += self.hyper.noise + own + JITTER
        return cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)  # type: ignore[no-any-return]

    @cached_property
    def _weights(self) -> Floats:
        values = (self.seen.y - self.centre) / self.spread
        return cho_solve((self._factor, True), values, check_finite=False)  # type: ignore[no-any-return]

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Means (n,) and standard deviations (n,) at the rows of `x`."""
        cross = self._covariance(self.seen.x, x)
        means = self._weights @ cross
        half = solve_triangular(self._factor, cross, lower=True, overwrite_b=True, check_finite=False)
        own = TREND_VARIANCE * (self.layout.basis(x) ** 2).sum(1) + self.hyper.signal
        variances = np.maximum(own - np.einsum("ij,ij->j", half, half), 1e-12)
        return self.centre + self.spread * means, self.spread * np.sqrt(variances)

    def _covariance(self, a: Floats, b: Floats) -> Floats:
        squares = self.layout.weighted(self.hyper.weights, a, b)
        trend = TREND_VARIANCE * self.layout.basis(a) @ self.layout.basis(b).T
        return trend + self.hyper.signal * _matern(squares)[0]


def condition(layout: Layout, hyper: Hyper, seen: Observations, scale: tuple[float, float]) -> Process:
    """The process after some observations, whose values have about this mean and standard deviation."""
    return Process(layout, hyper, seen, *scale)


def learn(layout: Layout, seen: Observations) -> Hyper:
    """The likeliest hyper-parameters after one observation or more; at most `LEARN_FROM` of them are looked at."""
    some = seen.every(LEARN_FROM)
    problem = _Problem(layout, some, seen.scale)
    found = minimize(
        problem, problem.centres, jac=True, method="L-BFGS-B", bounds=[BOUNDS] * len(problem.centres),
        options={"maxiter": STEPS},
    )  # fmt: skip
    signal, noise, *weights = np.exp(found.x)
    return Hyper(float(signal), float(noise), np.array(weights))


class _Problem:
    """Minus the logarithm of the posterior density of log hyper-parameters, and its gradient."""

    def __init__(self, layout: Layout, seen: Observations, scale: tuple[float, float]) -> None:
        centre, spread = scale
        basis = layout.basis(seen.x)
        self._distances = layout.distances(seen.x, seen.x)
        self._trend = TREND_VARIANCE * basis @ basis.T
        self._values = (seen.y - centre) / spread
        self._own = (seen.deviations / spread) ** 2 + JITTER
        priors = [SIGNAL_PRIOR, NOISE_PRIOR, *[WEIGHT_PRIOR] * len(layout.groups)]
        self.centres = np.array([mean for mean, _ in priors])
        self._widths = np.array([width for _, width in priors])

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        signal, noise, weights = np.exp(logs[0]), np.exp(logs[1]), np.exp(logs[2:])
        matern, slope = _matern(np.tensordot(weights, self._distances, 1))
        covariance = self._trend + signal * matern
        covariance[np.diag_indices_from(covariance)] += noise + self._own
        factor = cholesky(covariance, lower=True, check_finite=False)
        alpha = cho_solve((factor, True), self._values, check_finite=False)
        off = (logs - self.centres) / self._widths
        value = 0.5 * self._values @ alpha + np.log(np.diag(factor)).sum() + 0.5 * off @ off
        pull = 0.5 * (_inverse(factor) - np.outer(alpha, alpha))
        gradient = off / self._widths
        gradient[0] += signal * (pull * matern).sum()
        gradient[1] += noise * np.trace(pull)
        gradient[2:] += signal * weights * np.tensordot(self._distances, pull * slope, 2)
        return float(value), gradient


def _squares(a: Floats, b: Floats) -> Floats:
    """Squared distances (n, m) between the rows of two matrices."""
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0.0)  # type: ignore[no-any-return]


def _matern(squares: Floats) -> tuple[Floats, Floats]:
    """Matérn-5/2 of squared distances, and its derivative with respect to them."""
    root = np.sqrt(5.0 * squares)
    fall = np.exp(-root)
    return (1.0 + root + root**2 / 3.0) * fall, -5.0 / 6.0 * (1.0 + root) * fall


def _inverse(factor: Floats) -> Floats:
    """The inverse of a matrix from its lower Cholesky factor."""
    lower, _ = dpotri(factor, lower=1)
    return np.tril(lower) + np.tril(lower, -1).T  # type: ignore[no-any-return]


def grouped(names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Columns by name, those of a name together, in order of their first places."""
    found: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        found.setdefault(name, []).append(column)
    return tuple(tuple(columns) for columns in found.values())
