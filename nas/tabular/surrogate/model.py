"""Surrogate of a space's trainings: fitted to the networks of a table, it predicts curve, truth and seconds of any.

The table's networks are described by features, their learning curves by a few principal components. An ensemble of
trees predicts the components, the test accuracy and the seconds. A training's curve is the predicted mean with the
noise of its seed and of the validation part, drawn afresh for every world.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from nas.jobs import Curve
from nas.tabular.surrogate.curves import CurveBasis, CurveCoder, accuracy_of, charged, logit
from nas.tabular.surrogate.ensemble import Ensemble, left_out_predictions
from nas.tabular.surrogate.features import Described, Features, Floats, rows
from nas.tabular.surrogate.noise import (
    LastAccuracies,
    Residuals,
    network_deviations,
    part_luck_share,
    seed_deviations,
    training_noise,
)
from nas.tabular.table import Entry, Table
from search_space.architecture import Architecture

COMPONENTS = 8
DECIMALS = 4
"""Decimals of the true accuracy: smaller differences, which no test part shows, would only lengthen the true front."""

LEADING = 5
"""Targets with boosted trees: test accuracy, seconds, and the first three components of the curves."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """Prediction of a network without noise.

    Attributes:
        described: the network.
        vector: (d,) mean learning curve over seeds, in the coder's form.
        test_accuracy: test accuracy after the last epoch, mean over seeds.
        seconds: seconds of a full training.
    """

    described: Described
    vector: Floats
    test_accuracy: float
    seconds: float


@final
class Surrogate:
    """Models of the trainings of a space, fitted when they are made; equal tables give equal models."""

    def __init__(self, table: Table, charge: str = "seconds", entries: Sequence[Entry] | None = None) -> None:
        """Fit the models.

        Args:
            table: trainings of a sample, or of a whole space.
            charge: column of the seconds, `seconds` or `cpu_seconds`.
            entries: networks of the table to fit to; None for all.

        Raises:
            TableError: too few networks have two seeds.
        """
        self.table, self.charge = table, charge
        self.features = Features(table.space)
        self.coder = CurveCoder(table.epochs, int(table.attrs["val_images"]))
        fitted = list(table.entries.values()) if entries is None else list(entries)
        described = [self.features.describe(entry.architecture) for entry in fitted]
        vectors = np.array([self.vectors(entry).mean(axis=0) for entry in fitted])
        self._basis = CurveBasis.fit(self.coder, vectors, COMPONENTS)
        tests = self.test_logits(fitted)
        targets = self._targets(self._basis.scores(vectors), tests)
        self._centre, self._scale = targets.mean(axis=0), self._scales(targets)
        features, costs = rows(described), len(described[0].costs)
        scaled = (targets - self._centre) / self._scale
        self._ensemble = Ensemble(features, scaled, costs=costs, leading=min(LEADING, targets.shape[1]))
        unseen = left_out_predictions(features, scaled) * self._scale + self._centre
        residuals = Residuals(vectors[:, self._level], vectors - self._vectors(unseen), tests - unseen[:, 0])
        pairs = [entry for entry in fitted if len(entry.curves) > 1]
        curves = np.array([self.vectors(entry)[:2] for entry in pairs])
        self.seed_noise = seed_deviations(curves, self._level)
        self.luck = self._luck_share(pairs)
        counts = [len(entry.curves) for entry in fitted]
        both = np.array([self._logits(entry)[:2] for entry in pairs])
        noise = training_noise(curves, both, counts, self._test_luck(tests))
        self.network_noise = network_deviations(residuals, noise)

    @property
    def _level(self) -> int:
        """Column of the last validation accuracy."""
        return int(self.coder.columns("val_accuracy").stop) - 1

    @property
    def _test_images(self) -> int:
        return int(self.table.attrs["test_images"])

    def vectors(self, entry: Entry) -> Floats:
        """Return the recorded curves of a network in the coder's form: (seeds, d)."""
        return np.array([self.coder.encode(self.recorded(entry, seed)) for seed in entry.curves])

    def recorded(self, entry: Entry, seed: int) -> Curve:
        """Return a recorded curve with the seconds that are charged."""
        curve = entry.curves[seed]
        return curve if self.charge == "seconds" else charged(curve, entry.cpu_seconds[seed])

    def test_logits(self, entries: Sequence[Entry]) -> Floats:
        """Return the recorded logits of the last test accuracies, averaged over seeds: (n,)."""
        return np.array([self._logits(entry).mean() for entry in entries])

    def _logits(self, entry: Entry) -> Floats:
        """Return the logits of the last test accuracy of each seed: (s,)."""
        return logit(np.array([accuracies[-1] for accuracies in entry.test.values()]), self._test_images)

    def _test_luck(self, logits: Floats) -> float:
        """Return the variance of the luck of the test part, in logits, averaged over networks."""
        accuracies = 1.0 / (1.0 + np.exp(-logits))
        right = self._test_images * accuracies * (1.0 - accuracies)
        return self.luck * float((1.0 / np.maximum(right, 1.0)).mean())

    def _vectors(self, targets: Floats) -> Floats:
        """Return the curves of some targets: (n, d)."""
        return self._basis.vectors(np.column_stack([targets[:, 2:], targets[:, 1]]))

    def predict(self, architectures: Iterable[Architecture]) -> list[Predicted]:
        """Return the predictions of some architectures, in one batch.

        Raises:
            SpaceError: an architecture is not of the space.
        """
        return self.predict_described([self.features.describe(architecture) for architecture in architectures])

    def predict_described(self, described: Sequence[Described]) -> list[Predicted]:
        """Return the predictions of architectures whose features are known."""
        if not described:
            return []
        targets = self._ensemble.predict(rows(described)) * self._scale + self._centre
        vectors = self._vectors(targets)
        accuracies = accuracy_of(targets[:, 0], self._test_images).round(DECIMALS)
        seconds = np.exp(vectors[:, self.coder.columns("seconds")]).sum(axis=1)
        return [
            Predicted(each, vector, float(accuracy), float(spent))
            for each, vector, accuracy, spent in zip(described, vectors, accuracies, seconds, strict=True)
        ]

    def curve(self, predicted: Predicted, world: int, repeat: int) -> Curve:
        """Return the learning curve of a training in a world; each repeat has a seed of its own."""
        return self.coder.decode(self.noisy_vector(predicted, world, repeat))

    def noisy_vector(self, predicted: Predicted, world: int, repeat: int) -> Floats:
        """Return a training's learning curve in the coder's form: (d,)."""
        network = int(predicted.described.network_id, 16)
        level = float(predicted.vector[self._level])
        shared = self.network_noise.draw(level, np.random.default_rng([world, network]))
        own = self.seed_noise.draw(level, np.random.default_rng([world, network, 1 + repeat]))
        return np.asarray(predicted.vector + shared + own)

    def _luck_share(self, pairs: Sequence[Entry]) -> float:
        seeds = [list(entry.curves)[:2] for entry in pairs]
        both = list(zip(pairs, seeds, strict=True))
        return part_luck_share(
            LastAccuracies(
                np.array([[entry.curves[seed][-1].val_accuracy for seed in chosen] for entry, chosen in both]),
                np.array([[entry.test[seed][-1] for seed in chosen] for entry, chosen in both]),
                self.coder.images,
                self._test_images,
            )
        )

    @staticmethod
    def _targets(scores: Floats, test: Floats) -> Floats:
        """Return test logits, seconds and components: (n, k + 2)."""
        return np.column_stack([test, scores[:, -1], scores[:, :-1]])

    @staticmethod
    def _scales(targets: Floats) -> Floats:
        """Return the scale of each target; that of the components is one, so that they count by their variance."""
        spread = np.maximum(targets.std(axis=0), 1e-9)
        spread[2:] = spread[2] if len(spread) > 2 else 1.0
        return np.asarray(spread)


def mean_seconds(surrogate: Surrogate) -> float:
    """Return the recorded seconds of a full training, averaged over the random portion of the sample.

    They are the full-training equivalent: what a random network of the space costs. A whole table has no portions and
    counts in full.
    """
    entries = list(surrogate.table.entries.values())
    chosen = [entry for entry in entries if entry.origin == "random"] or entries
    totals = [
        math.fsum(row.seconds for row in surrogate.recorded(entry, seed)) for entry in chosen for seed in entry.curves
    ]
    return math.fsum(totals) / len(totals)
