"""Numbers that a believer tells, against the joint posterior that they follow from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from believed import AXES2, SPACE, believer, records
from scipy.stats import norm

from nas.objectives.limits import Limits
from nas.objectives.loss_scale import LossScale
from nas.objectives.pareto import Axis, losses
from nas.study.belief.believer import Believed, Believer
from nas.study.belief.gaps import DRAWS, Gap, drawn_gap, measured_gap, normal_draws
from nas.study.belief.gp import GaussianProcess, Hyperparameters, Layout, Observations
from nas.study.belief.stored import believer_for

SCALE = LossScale.of(AXES2[0])
REACH = norm.ppf(0.95)
LOG_LOSS = Axis("val_loss", "minimize", True, 1e-3, 1.0)
LAYOUT = Layout(((0, 1), (2,)), (2,), 0.4)
X = np.random.default_rng(0).uniform(0, 1, (9, 3))
OBSERVED = Observations(X, X[:, 0], np.zeros(9), np.ones(9))
PROCESS = GaussianProcess(LAYOUT, Hyperparameters(0.7, 0.02, np.array([1.5, 0.5])), OBSERVED, 0.4, 0.2)


def joint(one: Believer, rows: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances of the modelled losses of the first objective, as the latest question fitted them."""
    return one._answer[0].joint(rows)


def test_the_joint_posterior_has_the_means_and_deviations_of_each() -> None:
    asked = np.random.default_rng(1).uniform(0, 1, (5, 3))
    means, deviations = PROCESS.predict(asked)
    centre, covariance = PROCESS.joint(asked)
    assert centre == pytest.approx(means)
    assert np.diag(covariance) == pytest.approx(deviations**2)
    pair = PROCESS.joint(asked[[1, 3]])[1]
    assert pair[0, 1] == pytest.approx(covariance[1, 3])
    assert PROCESS.noise == pytest.approx(0.2**2 * 0.02)


def test_intervals_are_quantiles_of_the_modelled_loss() -> None:
    many = records(20)
    one = believer_for(SPACE, AXES2, {"macs": "macs"}, None)
    found = one.beliefs(many)
    for number, belief in found.items():
        centre, covariance = joint(one, [number])
        low, high = belief.intervals["val_accuracy"]
        ends = SCALE.modelled(AXES2[0].losses(np.array([high, belief.means["val_accuracy"], low])))
        reach = REACH * np.sqrt(covariance[0, 0])
        assert ends == pytest.approx([centre[0] - reach, centre[0], centre[0] + reach], abs=1e-9)
        assert belief.margins["val_accuracy"] == pytest.approx((high - low) / 2)


def test_a_belief_is_written_without_its_margins() -> None:
    belief = Believed({"val_accuracy": 0.7}, {"val_accuracy": (0.6, 0.8)}, 0.25, {"val_accuracy": 0.1})
    written = {"values": {"val_accuracy": 0.7}, "intervals": {"val_accuracy": [0.6, 0.8]}, "front_probability": 0.25}
    assert belief.to_json() == written


def test_the_validation_part_widens_intervals_and_no_margins() -> None:
    many = records(20)
    sure, unsure = believer_for(SPACE, AXES2, {"macs": "macs"}, 10**9), believer()
    assert all(belief.means.keys() == belief.margins.keys() for belief in sure.beliefs(many).values())
    for number, belief in unsure.beliefs(many).items():
        low, high = belief.intervals["val_accuracy"]
        assert 2 * belief.margins["val_accuracy"] < high - low
        _, covariance = joint(unsure, [number])
        shared = unsure._sampling(0, np.array([belief.means["val_accuracy"]]))[0]
        ends = SCALE.modelled(AXES2[0].losses(np.array([high, low])))
        assert ends[1] - ends[0] == pytest.approx(2 * REACH * np.sqrt(covariance[0, 0] + 2 * shared**2))


def test_doubts_are_the_probabilities_of_the_other_order() -> None:
    many, one = records(20), believer()
    members = [record.number for record in one.front(many)]
    found = one.doubts(many, members, "val_accuracy")
    assert set(members) <= found.keys()
    for number, doubts in found.items():
        assert doubts.keys() == set(members) - {number}
        for other, doubt in doubts.items():
            centre, covariance = joint(one, [number, other])
            deviation = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
            assert doubt == pytest.approx(norm.cdf(-abs(centre[0] - centre[1]) / deviation), abs=1e-9)


def test_nothing_is_doubted_of_costs_or_of_few_trials() -> None:
    assert believer().doubts(records(20), [0], "macs") == {}
    assert believer().doubts(records(3), [0], "val_accuracy") == {}


def test_a_network_over_a_limit_is_on_no_front_and_still_tells_of_others() -> None:
    many = records(20)
    most = float(np.median([record.candidate.costs["macs"] for record in many]))
    over = {record.number for record in many if record.candidate.costs["macs"] > most}
    within = believer_for(SPACE, AXES2, {"macs": "macs"}, 300, Limits(max_macs=most))
    free = believer()
    limited, all_losses = within.losses(many), free.losses(many)
    assert {row for row in range(20) if np.isnan(limited[row]).all()} == over
    kept = sorted(set(range(20)) - over)
    assert limited[kept] == pytest.approx(all_losses[kept])
    assert not over & {record.number for record in within.front(many)}
    assert not over & within.beliefs(many).keys()
    assert free.contenders(many) <= within.contenders(many)


def test_what_only_networks_over_a_limit_dominate_is_a_contender() -> None:
    made = [(0.9, 1e4, 900), (0.8, 1e4, 100), (0.7, 2e4, 100), (0.9, 1e5, 900)]  # accuracy, MACs and parameters
    trials = [
        replace(
            record,
            candidate=replace(record.candidate, costs={"macs": macs, "params": params}),
            values={"val_accuracy": accuracy, "macs": macs},
        )
        for record, (accuracy, macs, params) in zip(records(4), made, strict=True)
    ]
    limited = Believer(AXES2, {"macs": "macs"}, None, limits=Limits(max_params=500))
    assert limited.contenders(trials) == {0, 1}


def test_a_difference_is_drawn_from_the_joint_posterior() -> None:
    pair = X[:2] + 0.05
    gap = drawn_gap(LOG_LOSS, PROCESS, pair)
    centre, covariance = PROCESS.joint(pair)
    covariance += 0.5 * PROCESS.noise * np.eye(2)
    draws = 10 ** (3 * np.random.default_rng(7).multivariate_normal(centre, covariance, 200_000) - 3)
    medians = 10 ** (3 * centre - 3)
    assert gap.mean == pytest.approx(medians[1] - medians[0])
    spread = (draws[:, 1] - draws[:, 0]).std()
    assert gap.interval == pytest.approx(np.quantile(draws[:, 1] - draws[:, 0], [0.05, 0.95]), abs=0.25 * spread)
    assert gap.to_json() == {"difference": gap.mean, "interval": list(gap.interval or ())}
    assert Gap(0.5, None).to_json() == {"difference": 0.5, "interval": None}


def test_measured_differences_have_the_interval_of_two_shares() -> None:
    gap = measured_gap(AXES2[0], np.array([0.6, 1.0]), 98)
    shares = np.array([59.8, 99.0]) / 100
    reach = REACH * np.sqrt((shares * (1 - shares)).sum() / 98)
    assert gap.mean == pytest.approx(0.4)
    assert gap.interval == pytest.approx((0.4 - reach, 0.4 + reach))
    assert measured_gap(LOG_LOSS, np.array([0.1, 0.3]), 98).interval is None
    shrinking = Axis("accuracy_gap", "minimize", False, 0.0, 1.0)
    assert measured_gap(shrinking, np.array([0.1, 0.3]), 98).interval is None


def test_draws_have_the_covariance_even_a_singular_one() -> None:
    covariance = np.array([[4.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 0.25]])
    drawn = normal_draws(np.random.default_rng(0), np.array([1.0, 2.0, 3.0]), covariance)
    assert drawn.shape == (DRAWS, 3)
    assert drawn.mean(axis=0) == pytest.approx([1, 2, 3], abs=0.2)
    assert np.cov(drawn.T) == pytest.approx(covariance, abs=0.5)
    assert drawn[:, 0] - 1 == pytest.approx(2 * (drawn[:, 1] - 2), abs=1e-6)


def test_repeats_count_as_trainings_and_few_trials_are_taken_as_measured() -> None:
    four = records(4)
    measured = losses(AXES2, [record.values for record in four if record.values])
    assert believer().losses(four)[:, 0] != pytest.approx(measured[:, 0])
    assert believer().beliefs(four[:3]) == {}
