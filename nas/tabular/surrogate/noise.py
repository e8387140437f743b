"""Noise of trainings: deviations of one seed from its network's mean, and of a network from what the models predict.

Both are drawn from recorded deviations of networks of similar accuracy, so that epochs and quantities deviate together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from nas.tabular.columns import TableError
from nas.tabular.surrogate.features import Floats

FEWEST = 8
"""Least number of networks with two seeds: fewer tell nothing about the noise."""

NEIGHBOURS = 1 / 3
"""Share of the recorded deviations, of the most similar accuracy, that the noise of a network is drawn from."""

LEVELS = 10
"""Groups of networks of similar accuracy."""


@final
@dataclass(frozen=True, eq=False)
class Deviations:
    """Recorded deviations by the accuracy of their networks.

    Attributes:
        levels: (p,) ascending logits of the last validation accuracy.
        values: (p, d) deviations in the order of the levels.
    """

    levels: Floats
    values: Floats

    @classmethod
    def of(cls, levels: Floats, values: Floats) -> Deviations:
        """Return deviations in the order of their levels."""
        order = np.argsort(levels, kind="stable")
        return cls(levels[order], values[order])

    def draw(self, level: float, generator: np.random.Generator) -> Floats:
        """Return a mixture of two deviations of the nearest levels, with their covariance: (d,).

        Args:
            level: logit of the network's last validation accuracy.
            generator: source of randomness.
        """
        width = min(len(self.levels), max(FEWEST, round(NEIGHBOURS * len(self.levels))))
        place = int(np.searchsorted(self.levels, level)) - width // 2
        first = min(max(place, 0), len(self.levels) - width)
        one, other = generator.integers(first, first + width, size=2)
        angle = generator.uniform(0.0, 2.0 * math.pi)
        if one == other:
            return np.asarray(self.values[one] * np.sign(math.cos(angle)))
        return np.asarray(math.cos(angle) * self.values[one] + math.sin(angle) * self.values[other])


def seed_deviations(pairs: Floats, level: int) -> Deviations:
    """Return the deviations of trainings from the mean over seeds of their network.

    Args:
        pairs: (p, 2, d) vectors of two seeds of each network.
        level: column of the logit of the last validation accuracy.

    Raises:
        TableError: there are fewer than `FEWEST` networks.
    """
    if len(pairs) < FEWEST:
        raise TableError(
            f"a surrogate needs {FEWEST} networks with two seeds, whose differences are the noise, got {len(pairs)}"
        )
    return Deviations.of(pairs[:, :, level].mean(axis=1), (pairs[:, 0] - pairs[:, 1]) / math.sqrt(2.0))


@dataclass(frozen=True, eq=False)
class Residuals:
    """Deviations of recorded networks from predictions by models that have not seen them.

    Attributes:
        levels: (n,) logits of the last validation accuracy.
        curves: (n, d) deviations of the mean curves.
        truth: (n,) deviations of the logits of the mean test accuracy.
    """

    levels: Floats
    curves: Floats
    truth: Floats


@dataclass(frozen=True, eq=False)
class TrainingNoise:
    """Variances that the mean of a network's trainings has beside its own deviation.

    Attributes:
        curves: (d,) variance of the mean curve.
        truth: variance of the logit of the mean test accuracy, the luck of the test part included.
        both: (d,) covariance of the two.
    """

    curves: Floats
    truth: float
    both: Floats


def network_deviations(residuals: Residuals, noise: TrainingNoise) -> Deviations:
    """Return the deviations of networks from the models that their true accuracy does not explain.

    All seeds of a network share them: the luck of the validation part, and whatever makes a network learn faster or
    slower than others of its accuracy. In a world the model's accuracy is the truth, so the part of a curve's
    deviation that goes with that of the accuracy is taken away, and so is the variance of the seeds' noise.

    Args:
        residuals: of the models.
        noise: of the residuals.
    """
    curves = residuals.curves - residuals.curves.mean(axis=0)
    truth = residuals.truth - residuals.truth.mean()
    explained = max(float((truth**2).mean()) - noise.truth, 1e-9)
    both = (curves * truth[:, None]).mean(axis=0) - noise.both
    own = np.maximum((curves**2).mean(axis=0) - noise.curves, 0.0)
    slope = np.where(explained > 0.1 * noise.truth, both / explained, 0.0)
    slope = np.clip(slope, -np.sqrt(own / explained), np.sqrt(own / explained))
    left = curves - truth[:, None] * slope
    variance = np.maximum(own - slope**2 * explained, 0.0)
    return Deviations.of(residuals.levels, left * np.sqrt(variance / np.maximum((left**2).mean(axis=0), 1e-12)))


@dataclass(frozen=True, eq=False)
class LastAccuracies:
    """Last accuracies of networks with two seeds, on both parts.

    Attributes:
        validation: (n, 2) validation accuracies.
        test: (n, 2) test accuracies.
        images: number of validation images.
        test_images: number of test images.
    """

    validation: Floats
    test: Floats
    images: int
    test_images: int


def part_luck_share(pairs: LastAccuracies) -> float:
    """Return the variance of the luck of a part, which all seeds share, as a share of the binomial variance.

    Validation and test accuracy of one training differ by what all networks of an accuracy have in common, by the
    noise of the seed, and by the luck of both parts. The first is the mean over networks of similar accuracy, the
    second follows from the two seeds.
    """
    difference = pairs.validation - pairs.test
    level = (pairs.validation + pairs.test).mean(axis=1) / 2.0
    both = difference.mean(axis=1)
    groups = np.array_split(np.argsort(level, kind="stable"), max(1, min(LEVELS, len(level) // 4)))
    common = sum(float(((both[g] - both[g].mean()) ** 2).sum()) * len(g) / max(1, len(g) - 1) for g in groups)
    seeds = float(((difference[:, 0] - difference[:, 1]) ** 2).sum()) / 4.0  # variance of a mean of two
    binomial = float((level * (1.0 - level)).sum()) * (1.0 / pairs.images + 1.0 / pairs.test_images)
    return min(1.0, max(0.0, (common - seeds) / max(binomial, 1e-12)))


def training_noise(pairs: Floats, tests: Floats, trainings: Sequence[int], test_luck: float) -> TrainingNoise:
    """Return the noise of the mean over a network's trainings, averaged over networks.

    Args:
        pairs: (p, 2, d) curves of two seeds.
        tests: (p, 2) logits of their test accuracies.
        trainings: number of trainings of each network.
        test_luck: variance of the luck of the test part, in logits.
    """
    curves, truth = (pairs[:, 0] - pairs[:, 1]) / math.sqrt(2.0), (tests[:, 0] - tests[:, 1]) / math.sqrt(2.0)
    share = float(np.mean([1.0 / count for count in trainings]))
    return TrainingNoise(
        share * (curves**2).mean(axis=0),
        share * float((truth**2).mean()) + test_luck,
        share * (curves * truth[:, None]).mean(axis=0),
    )
