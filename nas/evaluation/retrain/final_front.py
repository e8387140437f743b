"""Front of retrained networks by their test accuracies, and the optimism of the search's own numbers.

A search picks the networks that look best on one validation part, so the validation accuracies of the picked ones are
too high on average (the winner's curse). The test part was not looked at before: means over seeds on it are unbiased,
and their errors are known.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.objectives.costs.macs import COST as MACS
from nas.objectives.pareto import Axis

DRAWS = 20_000
NORMAL_95 = 1.96


@dataclass(frozen=True)
class MeasuredNetwork:
    """Network with its mean test accuracy.

    Attributes:
        trial: its trial.
        costs: its values on the axes that are minimised; for a study of accuracy alone its MACs.
        mean: mean test accuracy over seeds, in [0, 1].
        error: standard error of the mean, of seeds and of test images.
    """

    trial: int
    costs: tuple[float, ...]
    mean: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean, within [0, 1]."""
        half = NORMAL_95 * self.error
        return max(0.0, self.mean - half), min(1.0, self.mean + half)


def final_front(networks: Sequence[Mapping[str, Any]], axes: Sequence[Axis]) -> list[dict[str, Any]]:
    """Return the networks that no cheaper one surpasses by its mean test accuracy, cheapest first.

    Args:
        networks: result documents of retrained networks.
        axes: the study's objectives.

    Returns:
        For each: `trial`, `test_accuracy`, its 95 % `interval`, and the `probability` that no retrained network that
        costs no more is truly more accurate. The errors of two networks count as independent, although the test images
        are the same, so that probabilities are rather too near to one half.
    """
    tested = measured_networks(networks, axes)
    probabilities = front_probabilities(tested)
    on_front = [network for network in tested if not _surpassed(network, tested)]
    return [
        {
            "trial": network.trial,
            "test_accuracy": network.mean,
            "interval": list(network.interval),
            "probability": probabilities[network.trial],
        }
        for network in sorted(on_front, key=lambda network: network.costs)
    ]


def measured_networks(networks: Sequence[Mapping[str, Any]], axes: Sequence[Axis]) -> list[MeasuredNetwork]:
    """Return the networks with a test accuracy.

    The variance over seeds is pooled over the networks, as a share of m(1 - m) for a mean accuracy m: a network near 1
    varies less than one at a half.
    """
    measured = [network for network in networks if network["seeds"]]
    minimised = [axis.name for axis in axes if axis.direction == "minimize"] or [MACS.name]
    share = _pooled_share([[seed["test_accuracy"] for seed in network["seeds"]] for network in measured])
    found = []
    for network in measured:
        accuracies = [float(seed["test_accuracy"]) for seed in network["seeds"]]
        mean, images = statistics.fmean(accuracies), network["seeds"][0]["test_images"]
        # The test images are the same for every seed: their share of the error does not fall with the seeds.
        error = math.sqrt(mean * (1 - mean) * (share / len(accuracies) + 1 / max(1, images)))
        values = {**network["values"], **network["costs"]}
        costs = tuple(float(values[name]) for name in minimised)
        found.append(MeasuredNetwork(network["trial"], costs, mean, error))
    return found


def _pooled_share(groups: Sequence[Sequence[float]]) -> float:
    """Return the variance within groups over m(1 - m), m a group's mean, pooled over all of two values or more."""
    shares, degrees = 0.0, 0
    for group in groups:
        mean = statistics.fmean(group)
        if len(group) > 1 and 0 < mean < 1:
            shares += statistics.variance(group) * (len(group) - 1) / (mean * (1 - mean))
            degrees += len(group) - 1
    return shares / degrees if degrees else 0.0


def front_probabilities(networks: Sequence[MeasuredNetwork]) -> dict[int, float]:
    """Return the probability of each network that none of those that cost no more is more accurate, by trial.

    >>> pair = [MeasuredNetwork(0, (1.0,), 0.8, 0.01), MeasuredNetwork(1, (2.0,), 0.9, 0.01)]
    >>> front_probabilities(pair)
    {0: 1.0, 1: 1.0}
    """
    if not networks:
        return {}
    means, errors = (np.array([getattr(n, name) for n in networks]) for name in ("mean", "error"))
    drawn: NDArray[np.float64] = np.random.default_rng(0).normal(means, errors, (DRAWS, len(networks)))
    found = {}
    for row, network in enumerate(networks):
        rivals = [other for other, rival in enumerate(networks) if other != row and _costs_no_more(rival, network)]
        beaten = (drawn[:, rivals] > drawn[:, [row]]).any(axis=1) if rivals else np.zeros(DRAWS, dtype=bool)
        found[network.trial] = round(float(1 - beaten.mean()), 4)
    return found


def _costs_no_more(rival: MeasuredNetwork, network: MeasuredNetwork) -> bool:
    return all(theirs <= own for theirs, own in zip(rival.costs, network.costs, strict=True))


def _surpassed(network: MeasuredNetwork, others: Sequence[MeasuredNetwork]) -> bool:
    return any(
        _costs_no_more(rival, network)
        and (rival.mean > network.mean or (rival.mean == network.mean and rival.costs != network.costs))
        for rival in others
        if rival is not network
    )


def optimism(networks: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return by how much the search's validation accuracies exceed the mean test accuracies; None without any pair.

    Returns:
        `mean` of the differences, its standard `error` (None for one network) and their number `n`.
    """
    differences = [
        network["values"]["val_accuracy"] - network["test_accuracy"]["mean"]
        for network in networks
        if network["seeds"] and network["values"].get("val_accuracy") is not None
    ]
    if not differences:
        return None
    several = len(differences) > 1
    error = statistics.stdev(differences) / math.sqrt(len(differences)) if several else None
    return {"mean": statistics.fmean(differences), "error": error, "n": len(differences)}


def against_baselines(
    networks: Sequence[Mapping[str, Any]], baselines: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return each baseline with its mean test accuracy, beside the retrained network whose MACs are nearest to its own.

    Args:
        networks: result documents of retrained networks.
        baselines: result documents of baselines.

    Returns:
        For each baseline with a result: `baseline`, `width`, `macs`, `test_accuracy`, its 95 % `interval`, and the
        network's `trial`, `trial_macs`, the `difference` of its mean test accuracy to the baseline's, and the 95 %
        `difference_interval`, for which the errors of both count as independent.
    """
    own = {network["trial"]: network["costs"][MACS.name] for network in networks}
    named = [{**baseline, "trial": -1 - place} for place, baseline in enumerate(baselines)]
    tested = {found.trial: found for found in measured_networks([*networks, *named], ())}
    rows = []
    for baseline in named:
        found = tested.get(baseline["trial"])
        rivals = [tested[trial] for trial in own if trial in tested]
        if found is None or not rivals:
            continue
        rival = min(rivals, key=lambda each: abs(math.log((each.costs[0] + 1) / (found.costs[0] + 1))))
        difference, half = rival.mean - found.mean, NORMAL_95 * math.hypot(rival.error, found.error)
        rows.append(
            {
                "baseline": baseline["baseline"],
                "width": baseline["width"],
                MACS.name: baseline["costs"][MACS.name],
                "test_accuracy": found.mean,
                "interval": list(found.interval),
                "trial": rival.trial,
                "trial_macs": own[rival.trial],
                "difference": difference,
                "difference_interval": [difference - half, difference + half],
            }
        )
    return rows


def lost_by_retraining(network: Mapping[str, Any], images: int | None) -> float | None:
    """Return the validation accuracy that retraining lost against the search, None unless that is clear.

    It is clear above twice the standard error of both: of the seeds, and of a binomial count of the images. A network
    that was trained on the validation part too is taken by its test accuracy.

    Args:
        network: result document of a retrained network.
        images: number of validation images; None if it is not known.
    """
    searched, found, others = network["values"].get("val_accuracy"), network["val_accuracy"], images
    if network["seeds"] and not found["n"]:
        found, others = network["test_accuracy"], network["seeds"][0]["test_images"]
    if searched is None or not found["n"] or not images or not others:
        return None
    seeds = (found["sd"] or 0.0) ** 2 / found["n"]
    noise = seeds + searched * (1 - searched) / images + found["mean"] * (1 - found["mean"]) / others
    lost = float(searched - found["mean"])
    return lost if lost > 2 * math.sqrt(noise) else None
