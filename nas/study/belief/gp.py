"""Gaussian process over networks: the surrogate of the loss that training measures.

f(x) = −b Σ_t x_t + β·φ(x) + g(x), observed with noise: a prior mean that falls with some features t, such as the costs,
a linear trend in the same features and their squares, and a stationary part with a Matérn-5/2 kernel. Groups of
features share a length scale, so that few observations determine them. With d_g² the mean squared difference over the
features of group g,

    k(x, x') = τ² φ(x)·φ(x') + s² M(r),   r² = Σ_g w_g d_g²,   M(r) = (1 + √5 r + 5r²/3) exp(−√5 r),

and observation i has variance σ²/kᵢ + δᵢ², where kᵢ is the number of trainings that it is the mean of, and δᵢ its own
standard deviation (of a validation part of few images, or of a value predicted from a partial training). s², σ² and the
w_g maximise the posterior density (Rasmussen and Williams 2006, ch. 5). They follow from the observations alone, so
a resumed search fits the same ones as an unbroken one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

Floats = NDArray[np.float64]

TREND_VARIANCE = 0.25
"""τ², for standardised values."""

FIT_OBSERVATIONS = 96
"""Most observations that the hyperparameters are fitted to; the fit takes O(n³)."""

FIT_STEPS = 20
"""Most iterations of L-BFGS-B."""

JITTER = 1e-6
"""Added to the diagonal of the covariance, for a stable Cholesky factor."""

SPREAD, SPREAD_WEIGHT = 0.15, 3.0
"""Standard deviation of losses before any is observed, and the number of observations that it counts as."""

SIGNAL_PRIOR = (np.log(1.0), 1.0)
NOISE_PRIOR = (np.log(0.01), 1.0)
WEIGHT_PRIOR = (np.log(0.3), 1.5)
"""Mean and standard deviation of the normal prior of log w_g; the two above are those of log s² and log σ²."""

BOUNDS = (-9.0, 5.0)
"""Range of every logarithm of a hyperparameter."""


@dataclass(frozen=True)
class Layout:
    """Roles of the columns of a feature matrix.

    Attributes:
        groups: columns that share a length scale.
        trend: columns in whose values and squares the trend is linear.
        slope: b, by how much the prior mean falls with each column of the trend, for standardised values.
    """

    groups: tuple[tuple[int, ...], ...]
    trend: tuple[int, ...]
    slope: float = 0.0

    def prior_mean(self, x: Floats) -> Floats:
        """Return the prior mean (n,) of standardised values at the rows of a matrix."""
        return -self.slope * x[:, self.trend].sum(1)  # type: ignore[no-any-return]

    def distances(self, a: Floats, b: Floats) -> Floats:
        """Return the mean squared differences (groups, n, m) between the rows of two matrices, by group."""
        found = np.empty((len(self.groups), len(a), len(b)))
        for index, group in enumerate(self.groups):
            found[index] = _squares(a[:, group], b[:, group]) / len(group)
        return found

    def weighted(self, weights: Floats, a: Floats, b: Floats) -> Floats:
        """Return the weighted sum (n, m) of `distances` over the groups, without a matrix for each group."""
        factors = np.zeros(a.shape[1])
        for group, weight in zip(self.groups, weights, strict=True):
            factors[list(group)] += weight / len(group)
        return _squares(a * np.sqrt(factors), b * np.sqrt(factors))

    def basis(self, x: Floats) -> Floats:
        """Return the basis functions φ (n, p) of the trend."""
        chosen = x[:, self.trend]
        return np.column_stack([np.ones(len(x)), chosen, chosen**2])


@dataclass(frozen=True)
class Hyperparameters:
    """Hyperparameters of the kernel, for standardised values; all positive.

    Attributes:
        signal: s², variance of the stationary part.
        noise: σ², variance of an observation.
        weights: (groups,) w_g, inverse squared length scales.
    """

    signal: float
    noise: float
    weights: Floats


@dataclass(frozen=True)
class Observations:
    """Observations of the process.

    Attributes:
        x: (n, f) features.
        y: (n,) values.
        deviations: (n,) standard deviation of each value beyond the common noise, at least 0.
        trainings: (n,) number of trainings that each value is the mean of, at least 1.
    """

    x: Floats
    y: Floats
    deviations: Floats
    trainings: Floats

    @cached_property
    def scale(self) -> tuple[float, float]:
        """Centre and spread of the values: their mean, and their standard deviation with a prior of `SPREAD`."""
        count = len(self.y)
        variance = (count * float(self.y.var()) + SPREAD_WEIGHT * SPREAD**2) / (count + SPREAD_WEIGHT)
        return float(self.y.mean()), float(np.sqrt(variance))

    def chosen(self, rows: NDArray[np.intp]) -> Observations:
        """Return the observations of some rows."""
        return Observations(self.x[rows], self.y[rows], self.deviations[rows], self.trainings[rows])

    def thinned(self, count: int) -> Observations:
        """Return at most `count` of the observations, evenly spaced in their order."""
        return self if len(self.y) <= count else self.chosen(evenly(len(self.y), count))

    def joined(self, other: Observations) -> Observations:
        """Return these observations followed by others."""
        return Observations(
            np.vstack([self.x, other.x]),
            np.concatenate([self.y, other.y]),
            np.concatenate([self.deviations, other.deviations]),
            np.concatenate([self.trainings, other.trainings]),
        )


@dataclass(frozen=True)
class GaussianProcess:
    """Posterior of f given observations.

    Attributes:
        layout: roles of the features.
        hyperparameters: of the kernel.
        observations: values that the posterior is conditioned on.
        centre: value that counts as 0 of the standardised values.
        spread: difference of values that counts as 1 of the standardised ones, positive.
    """

    layout: Layout
    hyperparameters: Hyperparameters
    observations: Observations
    centre: float
    spread: float

    @classmethod
    def fit(cls, layout: Layout, observations: Observations) -> GaussianProcess:
        """Return the process with fitted hyperparameters, given one observation or more."""
        return cls(layout, fit_hyperparameters(layout, observations), observations, *observations.scale)

    def conditioned(self, further: Observations) -> GaussianProcess:
        """Return the process given further observations too, with the same hyperparameters and scale."""
        return replace(self, observations=self.observations.joined(further))

    @property
    def noise(self) -> float:
        """Variance of an observation of one training around f, in the unit of the values."""
        return self.spread**2 * self.hyperparameters.noise

    @cached_property
    def _factor(self) -> Floats:
        covariance = self._covariance(self.observations.x, self.observations.x)
        own = (self.observations.deviations / self.spread) ** 2
        noise = self.hyperparameters.noise / self.observations.trainings
        covariance[np.diag_indices_from(covariance)] += noise + own + JITTER
        return cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)  # type: ignore[no-any-return]

    @cached_property
    def _weights(self) -> Floats:
        values = (self.observations.y - self.centre) / self.spread - self.layout.prior_mean(self.observations.x)
        return cho_solve((self._factor, True), values, check_finite=False)  # type: ignore[no-any-return]

    def predict(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the posterior means (n,) and standard deviations (n,) of f at the rows of `x` (n, f)."""
        cross = self._covariance(self.observations.x, x)
        means = self.layout.prior_mean(x) + self._weights @ cross
        half = solve_triangular(self._factor, cross, lower=True, overwrite_b=True, check_finite=False)
        own = TREND_VARIANCE * (self.layout.basis(x) ** 2).sum(1) + self.hyperparameters.signal
        variances = np.maximum(own - np.einsum("ij,ij->j", half, half), 1e-12)
        return self.centre + self.spread * means, self.spread * np.sqrt(variances)

    def joint(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the posterior means (n,) and covariances (n, n) of f at the rows of `x` (n, f)."""
        cross = self._covariance(self.observations.x, x)
        means = self.layout.prior_mean(x) + self._weights @ cross
        half = solve_triangular(self._factor, cross, lower=True, overwrite_b=True, check_finite=False)
        covariance = self._covariance(x, x) - half.T @ half
        return self.centre + self.spread * means, self.spread**2 * covariance

    def _covariance(self, a: Floats, b: Floats) -> Floats:
        squares = self.layout.weighted(self.hyperparameters.weights, a, b)
        trend = TREND_VARIANCE * self.layout.basis(a) @ self.layout.basis(b).T
        return trend + self.hyperparameters.signal * _matern(squares)[0]


def fit_hyperparameters(layout: Layout, observations: Observations) -> Hyperparameters:
    """Return the hyperparameters of highest posterior density, given one observation or more.

    At most `FIT_OBSERVATIONS` of the observations are used.
    """
    density = _NegativeLogPosterior(layout, observations.thinned(FIT_OBSERVATIONS), observations.scale)
    found = minimize(
        density, density.centres, jac=True, method="L-BFGS-B", bounds=[BOUNDS] * len(density.centres),
        options={"maxiter": FIT_STEPS},
    )  # fmt: skip
    signal, noise, *weights = np.exp(found.x)
    return Hyperparameters(float(signal), float(noise), np.array(weights))


def evenly(size: int, count: int) -> NDArray[np.intp]:
    """Return at most `count` of the places of a sequence, evenly spaced.

    >>> evenly(3, 5).tolist(), evenly(9, 3).tolist()
    ([0, 1, 2], [0, 4, 8])
    """
    return np.arange(size) if size <= count else np.unique(np.linspace(0, size - 1, count).round().astype(int))


class _NegativeLogPosterior:
    """Negative log posterior density of the log hyperparameters, with its gradient."""

    def __init__(self, layout: Layout, observations: Observations, scale: tuple[float, float]) -> None:
        centre, spread = scale
        basis = layout.basis(observations.x)
        self._distances = layout.distances(observations.x, observations.x)
        self._trend = TREND_VARIANCE * basis @ basis.T
        self._values = (observations.y - centre) / spread - layout.prior_mean(observations.x)
        self._own = (observations.deviations / spread) ** 2 + JITTER
        self._shares = 1.0 / observations.trainings
        priors = [SIGNAL_PRIOR, NOISE_PRIOR, *[WEIGHT_PRIOR] * len(layout.groups)]
        self.centres = np.array([mean for mean, _ in priors])
        self._widths = np.array([width for _, width in priors])

    def __call__(self, logs: Floats) -> tuple[float, Floats]:
        signal, noise, weights = np.exp(logs[0]), np.exp(logs[1]), np.exp(logs[2:])
        matern, slope = _matern(np.tensordot(weights, self._distances, 1))
        covariance = self._trend + signal * matern
        covariance[np.diag_indices_from(covariance)] += noise * self._shares + self._own
        factor = cholesky(covariance, lower=True, check_finite=False)
        alpha = cho_solve((factor, True), self._values, check_finite=False)
        off = (logs - self.centres) / self._widths
        value = 0.5 * self._values @ alpha + np.log(np.diag(factor)).sum() + 0.5 * off @ off
        pull = 0.5 * (_inverse(factor) - np.outer(alpha, alpha))
        gradient = off / self._widths
        gradient[0] += signal * (pull * matern).sum()
        gradient[1] += noise * (self._shares * np.diag(pull)).sum()
        gradient[2:] += signal * weights * np.tensordot(self._distances, pull * slope, 2)
        return float(value), gradient


def _squares(a: Floats, b: Floats) -> Floats:
    """Return the squared distances (n, m) between the rows of two matrices."""
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0.0)  # type: ignore[no-any-return]


def _matern(squares: Floats) -> tuple[Floats, Floats]:
    """Return the Matérn-5/2 kernel of squared distances, and its derivative with respect to them."""
    root = np.sqrt(5.0 * squares)
    fall = np.exp(-root)
    return (1.0 + root + root**2 / 3.0) * fall, -5.0 / 6.0 * (1.0 + root) * fall


def _inverse(factor: Floats) -> Floats:
    """Return the inverse of a matrix, given its lower Cholesky factor."""
    lower, _ = dpotri(factor, lower=1)
    return np.tril(lower) + np.tril(lower, -1).T  # type: ignore[no-any-return]


def group_columns(names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Return the columns grouped by name, in order of first occurrence.

    >>> group_columns(["a", "b", "a"])
    ((0, 2), (1,))
    """
    found: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        found.setdefault(name, []).append(column)
    return tuple(tuple(columns) for columns in found.values())
