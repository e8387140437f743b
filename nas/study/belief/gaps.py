"""Differences of an objective between two trained networks: by draws of the joint posterior, or as measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from nas.objectives.loss_scale import LossScale
from nas.objectives.pareto import Axis
from nas.study.belief.gp import Floats, GaussianProcess

DRAWS = 1000
"""Draws of the joint posterior for the probabilities."""

OWN_SHARE = 0.5
"""Share of the fitted noise that is a network's own deviation from networks like it, and not the seed's."""

CONFIDENCE = 0.9
"""Probability of the intervals."""


@dataclass(frozen=True)
class Gap:
    """Difference of an objective between two trained networks, the second less the first.

    Attributes:
        mean: difference of the posterior medians, or of the measured values.
        interval: equal-tailed interval of probability `CONFIDENCE`, lower end first; None if nothing is known of it.
    """

    mean: float
    interval: tuple[float, float] | None

    def to_json(self) -> dict[str, object]:
        """Return the difference as a JSON object."""
        return {"difference": self.mean, "interval": None if self.interval is None else list(self.interval)}


def drawn_gap(axis: Axis, process: GaussianProcess, features: Floats) -> Gap:
    """Return the difference of an objective between two networks by the joint posterior of their true values.

    Args:
        axis: the objective.
        process: Gaussian process of its modelled losses.
        features: (2, f) features of the networks.
    """
    if (features[0] == features[1]).all():
        return Gap(0.0, (0.0, 0.0))
    centre, covariance = process.joint(features)
    covariance[np.diag_indices_from(covariance)] += OWN_SHARE * process.noise
    scale = LossScale.of(axis)
    values = axis.value(scale.losses(normal_draws(np.random.default_rng(0), centre, covariance)))
    low, high = np.quantile(values[:, 1] - values[:, 0], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    medians = axis.value(scale.losses(centre))
    return Gap(float(medians[1] - medians[0]), (float(low), float(high)))


def measured_gap(axis: Axis, values: Floats, images: int | None) -> Gap:
    """Return the difference of two measured values of an objective, with the interval that the images leave.

    Args:
        axis: the objective; other ones than accuracies have no interval.
        values: (2,) measured values.
        images: number of validation images; None if it is not known. They are taken as drawn for each network anew,
            although both saw the same ones, so that the interval is a wide one.
    """
    gap = float(values[1] - values[0])
    if images is None or not is_share(axis):
        return Gap(gap, None)
    shares = (np.clip(values, 0.0, 1.0) * images + 1.0) / (images + 2.0)
    reach = float(ndtri((1 + CONFIDENCE) / 2) * np.sqrt((shares * (1.0 - shares)).sum() / images))
    return Gap(gap, (gap - reach, gap + reach))


def is_share(axis: Axis) -> bool:
    """Return whether an objective is an accuracy, a share of the validation images."""
    return "accuracy" in axis.name and axis.direction == "maximize"


def normal_draws(generator: np.random.Generator, centre: Floats, covariance: Floats) -> Floats:
    """Return draws (DRAWS, n) of a normal distribution whose covariance may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return centre + generator.standard_normal((DRAWS, len(centre))) @ root.T  # type: ignore[no-any-return]
