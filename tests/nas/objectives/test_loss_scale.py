"""The scale on which losses are modelled: monotone, with its inverse, and an improvement that is an expectation."""

from __future__ import annotations

import numpy as np
import pytest

from nas.objectives.loss_scale import LossScale
from nas.objectives.pareto import Axis

LINEAR = Axis("val_accuracy", "maximize", False, 1.0, 0.1)
ERROR = Axis("val_accuracy", "maximize", False, 1.0, 0.1, error=True)
LOG = Axis("macs", "minimize", True, 1e3, 1e6)


@pytest.mark.parametrize("axis", [LINEAR, ERROR, LOG], ids=["linear", "error", "log"])
def test_it_goes_from_0_to_1_and_back(axis: Axis) -> None:
    scale, values = LossScale.of(axis), np.linspace(0, 1, 21)
    modelled = scale.modelled(values)
    assert modelled[[0, -1]] == pytest.approx([0, 1])
    assert (np.diff(modelled) > 0).all()
    assert scale.losses(modelled) == pytest.approx(values)


def test_an_error_is_modelled_alike_on_both_scales_of_its_axis() -> None:
    accuracies = np.array([0.2, 0.8, 0.95, 1.0])
    modelled = [LossScale.of(axis).modelled(axis.losses(accuracies)) for axis in (LINEAR, ERROR)]
    assert modelled[0] == pytest.approx(modelled[1])


@pytest.mark.parametrize("axis", [LINEAR, ERROR], ids=["linear", "error"])
def test_the_improvement_is_the_mean_over_draws(axis: Axis) -> None:
    scale, generator = LossScale.of(axis), np.random.default_rng(0)
    mean, deviation, best = 0.6, 0.08, 0.5
    draws = scale.losses(generator.normal(mean, deviation, 400_000))
    expected = np.maximum(best - draws, 0.0).mean()
    found = scale.improvement()(np.array([best]), np.array([mean]), np.array([deviation]))
    assert found[0] == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("axis", [LINEAR, ERROR, LOG], ids=["linear", "error", "log"])
def test_many_losses_are_those_of_each(axis: Axis) -> None:
    values = np.array([0.05, 0.4, 0.99, 1.0]) if not axis.log else np.array([1e2, 5e4, 1e7])
    assert axis.losses(values) == pytest.approx([axis.loss(value) for value in values])


def test_halving_an_error_counts_alike_at_every_accuracy() -> None:
    steps = [ERROR.loss(1 - error) - ERROR.loss(1 - error / 2) for error in (0.8, 0.4, 0.2)]
    assert max(steps) / min(steps) < 1.2
    plain = [LINEAR.loss(1 - error) - LINEAR.loss(1 - error / 2) for error in (0.8, 0.2)]
    assert plain[0] == pytest.approx(4 * plain[1])


def test_an_error_scale_is_of_shares_alone() -> None:
    with pytest.raises(ValueError, match="an error has a logarithmic scale from 0 on, and an accuracy one up to 1"):
        Axis("val_accuracy", "maximize", False, 2.0, 0.1, error=True)
