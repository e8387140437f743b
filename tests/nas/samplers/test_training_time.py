"""Predicted seconds of trainings."""

from __future__ import annotations

import numpy as np
import pytest

from nas.samplers.known_cost.training_time import MACS_EXPONENT, predict_seconds

LOGS = np.random.default_rng(0).uniform(3, 6, (40, 3))


def test_before_anything_is_clocked_time_grows_with_a_power_of_the_macs() -> None:
    none = np.zeros((0, 3))
    seconds = predict_seconds(none, np.zeros(0), np.array([[2.0, 4.0, 1.0], [2.0, 6.0, 1.0]]), 1)
    assert seconds[1] / seconds[0] == pytest.approx(10 ** (2 * MACS_EXPONENT))
    assert seconds.prod() == pytest.approx(1.0)


def test_one_clocked_training_sets_the_scale() -> None:
    seconds = predict_seconds(LOGS[:1], np.array([7.0]), LOGS[:1], 1)
    assert seconds == pytest.approx([7.0])


def test_a_power_law_is_learnt() -> None:
    truth = 10 ** (0.6 * LOGS[:, 1] - 0.2 * LOGS[:, 0] - 1.5)
    assert predict_seconds(LOGS[:30], truth[:30], LOGS[30:], 1) == pytest.approx(truth[30:], rel=0.05)
