"""The Gaussian process against its definition, its gradient, and functions that it ought to learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.gaussian_process.kernels import Matern

from nas.study.belief.gp import (
    JITTER,
    TREND_VARIANCE,
    GaussianProcess,
    Hyperparameters,
    Layout,
    Observations,
    _NegativeLogPosterior,
    fit_hyperparameters,
    group_columns,
)

LAYOUT = Layout(((0, 1), (2,), (3, 4, 5)), (2,), 0.4)
HYPERPARAMETERS = Hyperparameters(0.7, 0.02, np.array([1.5, 0.5, 3.0]))


def observations(count: int, seed: int = 0) -> Observations:
    generator = np.random.default_rng(seed)
    x = generator.uniform(0, 1, (count, 6))
    y = 0.3 + 0.4 * x[:, 2] - 0.3 * x[:, 0] ** 2 + 0.02 * generator.normal(size=count)
    return Observations(x, y, generator.choice([0.0, 0.03], count), generator.choice([1.0, 3.0], count))


def covariance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the kernel matrix by scikit-learn's Matérn kernel on scaled features."""
    scale = np.zeros(6)
    for weight, group in zip(HYPERPARAMETERS.weights, LAYOUT.groups, strict=True):
        scale[list(group)] = np.sqrt(weight / len(group))
    basis_a, basis_b = (np.column_stack([np.ones(len(m)), m[:, 2], m[:, 2] ** 2]) for m in (a, b))
    return TREND_VARIANCE * basis_a @ basis_b.T + HYPERPARAMETERS.signal * Matern(nu=2.5)(a * scale, b * scale)


def test_predictions_are_those_of_the_definition() -> None:
    some, x = observations(12), np.random.default_rng(5).uniform(0, 1, (7, 6))
    means, deviations = GaussianProcess(LAYOUT, HYPERPARAMETERS, some, 0.4, 0.2).predict(x)
    noise = HYPERPARAMETERS.noise / some.trainings + (some.deviations / 0.2) ** 2 + JITTER
    noisy = covariance(some.x, some.x) + np.diag(noise)
    cross = covariance(x, some.x)
    centred = (some.y - 0.4) / 0.2 + 0.4 * some.x[:, 2]
    expected = 0.4 + 0.2 * (cross @ np.linalg.solve(noisy, centred) - 0.4 * x[:, 2])
    variances = np.diag(covariance(x, x) - cross @ np.linalg.solve(noisy, cross.T))
    assert means == pytest.approx(expected, rel=1e-6)
    assert deviations == pytest.approx(0.2 * np.sqrt(variances), rel=1e-5)


def test_the_gradient_is_that_of_the_density() -> None:
    problem = _NegativeLogPosterior(LAYOUT, observations(15), (0.4, 0.2))
    for seed in range(3):
        logs = problem.centres + np.random.default_rng(seed).normal(size=5)
        error = check_grad(lambda p: problem(p)[0], lambda p: problem(p)[1], logs)
        assert error < 1e-4 * max(1.0, float(np.abs(problem(logs)[1]).max()))


def test_it_learns_a_function_and_knows_how_well() -> None:
    some, fresh = observations(60), observations(400, 1)
    process = GaussianProcess.fit(LAYOUT, some)
    means, deviations = process.predict(fresh.x)
    truth = 0.3 + 0.4 * fresh.x[:, 2] - 0.3 * fresh.x[:, 0] ** 2
    assert np.sqrt(((means - truth) ** 2).mean()) < 0.1 * truth.std()
    assert np.mean(np.abs(means - truth) < 2 * deviations) > 0.8


def test_further_observations_change_the_posterior_alone() -> None:
    some, more = observations(12), observations(5, 3)
    process = GaussianProcess.fit(LAYOUT, some)
    further = process.conditioned(more)
    assert further.hyperparameters is process.hyperparameters
    assert (further.centre, further.spread) == some.scale
    assert further.predict(more.x)[1].max() < process.predict(more.x)[1].min()


def test_a_fit_is_as_it_was() -> None:
    """Golden values: what is fitted depends on priors, bounds and scales that no other test tells apart."""
    process = GaussianProcess.fit(LAYOUT, observations(40))
    fitted = process.hyperparameters
    assert (process.centre, process.spread) == pytest.approx((0.3849154, 0.1628668), rel=1e-5)
    assert (fitted.signal, fitted.noise) == pytest.approx((2.33125, 0.00498794), rel=0.01)
    assert fitted.weights == pytest.approx([0.823139, 0.263553, 0.0528356], rel=0.01)
    means, deviations = process.predict(np.array([np.full(6, 0.5), np.full(6, 2.0)]))
    assert means == pytest.approx([0.4146914, 0.8119349], rel=1e-3)
    assert deviations == pytest.approx([0.01140665, 0.29568404], rel=5e-3)


def test_it_learns_which_features_count() -> None:
    generator = np.random.default_rng(2)
    x = generator.uniform(0, 1, (80, 6))
    y = np.sin(6 * x[:, 0])
    weights = fit_hyperparameters(LAYOUT, Observations(x, y, np.zeros(80), np.ones(80))).weights
    assert weights[0] > 10 * weights[2]


def test_a_doubtful_observation_weighs_less() -> None:
    x = np.full((2, 6), 0.5)
    both = Observations(x, np.array([0.2, 0.6]), np.array([0.0, 1.0]), np.ones(2))
    mean, _ = GaussianProcess(LAYOUT, HYPERPARAMETERS, both, 0.4, 0.2).predict(x[:1])
    assert mean[0] == pytest.approx(0.2, abs=0.02)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_observations_that_are_all_the_same_are_no_trouble(count: int) -> None:
    same = Observations(np.full((count, 6), 0.3), np.full(count, 0.5), np.zeros(count), np.ones(count))
    mean, deviation = GaussianProcess.fit(LAYOUT, same).predict(np.full((1, 6), 0.3))
    assert mean[0] == pytest.approx(0.5, abs=1e-3)
    assert 0 < deviation[0] < 1


def test_a_variance_that_rounding_makes_negative_leaves_a_deviation() -> None:
    some = observations(9)
    far = some.x * np.where(np.arange(6) == 2, 1000.0, 1.0)  # the trend's variance there hides all others
    exact = Observations(far, some.y, np.zeros(9), np.ones(9))
    process = GaussianProcess(LAYOUT, replace(HYPERPARAMETERS, noise=1e-12), exact, 0.4, 0.2)
    deviations = process.predict(far)[1]
    assert (deviations > 0).all()
    assert deviations.max() < 0.01


def test_hyper_parameters_of_many_observations_are_learnt_from_some_of_them_in_order() -> None:
    many = observations(500)
    some = many.thinned(100)
    assert len(some.y) == 100
    assert (some.y[0], some.y[-1]) == (many.y[0], many.y[-1])
    assert many.thinned(500) is many
    assert len(some.joined(many).y) == 600


def test_columns_are_grouped_by_name() -> None:
    assert group_columns(["a", "b", "a", "c", "b"]) == ((0, 2), (1, 4), (3,))
