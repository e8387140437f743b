"""Noise of trainings: differences between two seeds of a network, and the luck of the validation part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from nas.tabular.columns import TableError
from nas.tabular.surrogate.curves import CurveCoder
from nas.tabular.surrogate.features import Floats

FEWEST = 8
"""Least number of networks with two seeds: fewer tell nothing about the noise."""

NEIGHBOURS = 1 / 3
"""Share of the pairs, of the most similar accuracy, that the noise of a network is drawn from."""

LEVELS = 10


@final
@dataclass(frozen=True, eq=False)
class SeedNoise:
    """Deviations of trainings from the mean over seeds of their network, drawn from recorded ones.

    A draw mixes the deviations of two networks of similar accuracy: their covariance over epochs and quantities is that
    of the recorded ones.

    Attributes:
        levels: (p,) ascending mean logit of the last validation accuracy of each pair.
        deviations: (p, d) differences of two seeds over the square root of 2, in the order of the levels.
    """

    levels: Floats
    deviations: Floats

    @classmethod
    def fit(cls, coder: CurveCoder, pairs: Sequence[tuple[Floats, Floats]]) -> SeedNoise:
        """Return the noise of recorded trainings.

        Args:
            coder: of the curves.
            pairs: curves of two seeds of one network each.

        Raises:
            TableError: there are fewer than `FEWEST` pairs.
        """
        if len(pairs) < FEWEST:
            raise TableError(
                f"a surrogate needs {FEWEST} networks with two seeds, whose differences are the noise, got {len(pairs)}"
            )
        first, second = (np.array(side) for side in zip(*pairs, strict=True))
        last = coder.columns("val_accuracy").stop - 1
        levels = (first + second)[:, last] / 2.0
        order = np.argsort(levels, kind="stable")
        return cls(levels[order], ((first - second) / math.sqrt(2.0))[order])

    def draw(self, level: float, generator: np.random.Generator) -> Floats:
        """Return the deviation of one training: (d,).

        Args:
            level: logit of the network's last validation accuracy.
            generator: source of randomness.
        """
        width = max(FEWEST, round(NEIGHBOURS * len(self.levels)))
        place = int(np.searchsorted(self.levels, level)) - width // 2
        first = min(max(place, 0), len(self.levels) - width)
        one, other = generator.integers(first, first + width, size=2)
        angle = generator.uniform(0.0, 2.0 * math.pi)
        if one == other:
            return np.asarray(self.deviations[one] * np.sign(math.cos(angle)))
        return np.asarray(math.cos(angle) * self.deviations[one] + math.sin(angle) * self.deviations[other])


@final
@dataclass(frozen=True)
class PartLuck:
    """Deviation of a network's validation accuracy that all of its seeds share, since they see the same images.

    Attributes:
        share: its variance as a share of the binomial one, in [0, 1].
        slope: change of the logarithm of the validation loss with the logit of the accuracy, at most 0.
    """

    share: float
    slope: float

    def shift(self, coder: CurveCoder, vector: Floats, luck: float) -> Floats:
        """Return a curve that a lucky or unlucky validation part shows.

        Args:
            coder: of the curves.
            vector: (d,) the curve on average over validation parts.
            luck: standard normal number, of the network.
        """
        found = vector.copy()
        accuracy = 1.0 / (1.0 + np.exp(-vector[coder.columns("val_accuracy")]))
        binomial = np.maximum(coder.images * accuracy * (1.0 - accuracy), 1.0)
        moved = luck * np.sqrt(self.share / binomial)
        found[coder.columns("val_accuracy")] += moved
        found[coder.columns("val_balanced_accuracy")] += moved
        found[coder.columns("val_loss")] += self.slope * moved
        return found


@dataclass(frozen=True, eq=False)
class LastAccuracies:
    """Last accuracies of trainings on both parts.

    Attributes:
        validation: (n, s) validation accuracies of networks and seeds.
        test: (n, s) test accuracies.
        images: number of validation images.
        test_images: number of test images.
    """

    validation: Floats
    test: Floats
    images: int
    test_images: int


def part_luck_share(pairs: LastAccuracies) -> float:
    """Return the part luck's variance as a share of the binomial variance.

    Validation and test accuracy of one training differ by what all networks of an accuracy have in common, by the
    noise of the seed, and by the luck of both parts. The first is the mean over networks of similar accuracy, the
    second follows from networks with two seeds.

    Args:
        pairs: accuracies of networks with two seeds.
    """
    difference = pairs.validation - pairs.test
    level = (pairs.validation + pairs.test).mean(axis=1) / 2.0
    both = difference.mean(axis=1)
    groups = np.array_split(np.argsort(level, kind="stable"), max(1, min(LEVELS, len(level) // 4)))
    common = sum(float(((both[g] - both[g].mean()) ** 2).sum()) * len(g) / max(1, len(g) - 1) for g in groups)
    seeds = float(((difference[:, 0] - difference[:, 1]) ** 2).sum()) / 4.0  # variance of a mean of two
    binomial = float((level * (1.0 - level)).sum()) * (1.0 / pairs.images + 1.0 / pairs.test_images)
    return min(1.0, max(0.0, (common - seeds) / max(binomial, 1e-12)))


def loss_slope(coder: CurveCoder, deviations: Floats) -> float:
    """Return the slope of the logarithm of the validation loss over the logit of the accuracy, at most 0.

    Args:
        coder: of the curves.
        deviations: (p, d) differences between seeds.
    """
    logits, losses = deviations[:, coder.columns("val_accuracy")], deviations[:, coder.columns("val_loss")]
    return min(0.0, float((logits * losses).sum() / max(float((logits**2).sum()), 1e-12)))
