"""Front by test accuracies, its probabilities and the optimism of a search, against closed forms and simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm

from nas.evaluation.measurement import calibration_error
from nas.evaluation.retrain.final_front import (
    MeasuredNetwork,
    against_baselines,
    final_front,
    front_probabilities,
    lost_by_retraining,
    measured_networks,
    optimism,
)
from nas.objectives.pareto import Axis

AXES = (
    Axis("val_accuracy", "maximize", log=False, best=1.0, worst=0.1),
    Axis("macs", "minimize", log=True, best=1, worst=1e6),
)


def network(trial: int, macs: int, *tests: float, searched: float = 0.9, images: int = 10_000) -> dict[str, Any]:
    return {
        "trial": trial,
        "costs": {"macs": macs},
        "values": {"val_accuracy": searched, "macs": macs},
        "test_accuracy": {"mean": float(np.mean(tests)) if tests else None},
        "val_accuracy": {"mean": 0.8, "sd": 0.01, "n": len(tests)},
        "seeds": [{"seed": seed, "test_accuracy": test, "test_images": images} for seed, test in enumerate(tests)],
    }


def test_the_front_is_of_means_and_leaves_out_the_surpassed() -> None:
    networks = [network(3, 50, 0.7, 0.8), network(1, 10, 0.6, 0.6), network(2, 60, 0.74, 0.74), network(4, 50, 0.5)]
    found = final_front(networks, AXES)
    assert [row["trial"] for row in found] == [1, 3]
    assert found[1]["test_accuracy"] == pytest.approx(0.75)
    assert final_front([network(1, 10)], AXES) == []


def test_errors_are_of_seeds_and_of_test_images() -> None:
    networks = [network(1, 10, 0.7, 0.8), network(2, 20, 0.9, 0.9, 0.9)]
    first, second = measured_networks(networks, AXES)
    share = (0.005 * 1 / (0.75 * 0.25) + 0.0 * 2) / 3
    assert first.error == pytest.approx(math.sqrt(0.75 * 0.25 * (share / 2 + 1 / 10_000)))
    assert second.error == pytest.approx(math.sqrt(0.9 * 0.1 * (share / 3 + 1 / 10_000)))
    low, high = second.interval
    assert (low + high) / 2 == pytest.approx(0.9)


def test_a_probability_is_that_of_the_difference_of_two_normal_means() -> None:
    cheap, dear = MeasuredNetwork(0, (1.0,), 0.80, 0.01), MeasuredNetwork(1, (2.0,), 0.81, 0.02)
    found = front_probabilities([cheap, dear])
    assert found[0] == 1.0
    assert found[1] == pytest.approx(norm.cdf(0.01 / math.hypot(0.01, 0.02)), abs=0.012)


def test_probabilities_are_calibrated_where_accuracies_are_anything() -> None:
    random, said, hits = np.random.default_rng(1), [], []
    for _ in range(4000):
        truth, errors = random.uniform(0.5, 1.0, 2), random.uniform(0.01, 0.03, 2)
        seen = random.normal(truth, errors)
        if abs(seen[0] - seen[1]) < 0.04:  # where it is not plain
            pair = [MeasuredNetwork(i, (float(i),), float(seen[i]), float(errors[i])) for i in range(2)]
            said.append(front_probabilities(pair)[1])
            hits.append(truth[1] > truth[0])
    probabilities, right = np.array(said), np.array(hits)
    for low, high in ((0.0, 0.35), (0.35, 0.65), (0.65, 1.01)):
        rows = (probabilities >= low) & (probabilities < high)
        assert rows.sum() > 100
        assert abs(right[rows].mean() - probabilities[rows].mean()) < 0.1


def test_optimism_is_the_mean_gap_to_the_test() -> None:
    found = optimism([network(1, 10, 0.7, 0.8), network(2, 20, 0.85), network(3, 20)])
    assert found == {"mean": pytest.approx(0.1), "error": pytest.approx(0.05), "n": 2}
    assert optimism([network(3, 20)]) is None


def test_a_baseline_stands_beside_the_network_of_the_nearest_macs() -> None:
    networks = [network(3, 50, 0.7, 0.8), network(7, 1000, 0.9, 0.9)]
    baselines = [
        {**network(0, macs, *tests), "baseline": name, "width": 0.5, "values": {}}
        for name, macs, tests in (("resnet20", 900, (0.85, 0.87)), ("googlenet", 60, (0.74, 0.76)), ("none", 9, ()))
    ]
    dear, cheap = against_baselines(networks, baselines)
    assert [(row["baseline"], row["trial"], row["macs"], row["trial_macs"]) for row in (dear, cheap)] == [
        ("resnet20", 7, 900, 1000),
        ("googlenet", 3, 60, 50),
    ]
    assert dear["difference"] == pytest.approx(0.04)
    low, high = dear["difference_interval"]
    assert (low + high) / 2 == pytest.approx(0.04)
    half = {row["baseline"]: (row["interval"][1] - row["interval"][0]) / 2 for row in (dear, cheap)}
    measured = measured_networks([*networks, *({**each, "trial": -1} for each in baselines[:2])], ())
    assert high - low == pytest.approx(2 * math.hypot(half["resnet20"], 1.96 * measured[1].error), rel=0.01)
    assert against_baselines([network(3, 50)], baselines) == []


def test_a_loss_after_training_on_the_validation_part_is_one_of_the_test_accuracy() -> None:
    whole = network(1, 10, 0.8, 0.8) | {
        "val_accuracy": {"mean": None, "sd": None, "n": 0},
        "test_accuracy": {"mean": 0.8, "sd": 0.0, "n": 2},
    }
    assert lost_by_retraining(whole, 1000) == pytest.approx(0.1)
    assert lost_by_retraining(whole | {"values": {"val_accuracy": 0.81}}, 1000) is None


@pytest.mark.parametrize(("searched", "images", "lost"), [(0.9, 1000, 0.1), (0.82, 1000, None), (0.9, None, None)])
def test_a_clear_loss_is_told(searched: float, images: int | None, lost: float | None) -> None:
    assert lost_by_retraining(network(1, 10, 0.8, 0.8, searched=searched), images) == (lost and pytest.approx(lost))


def test_the_calibration_error_is_the_gap_of_confidence_and_accuracy() -> None:
    logits = torch.tensor([[math.log(9.0), 0.0]]).repeat(10, 1)  # 90 % confident in class 0
    labels = torch.tensor([0] * 6 + [1] * 4)
    assert calibration_error(logits, labels) == pytest.approx(0.3)
    assert calibration_error(logits, torch.tensor([0] * 9 + [1])) == pytest.approx(0.0, abs=1e-6)
    mixed = torch.cat([logits, torch.tensor([[0.0, math.log(4.0)]]).repeat(10, 1)])  # two bins, weighted by images
    assert calibration_error(mixed, torch.cat([labels, torch.ones(10).long()])) == pytest.approx((0.3 + 0.2) / 2)
