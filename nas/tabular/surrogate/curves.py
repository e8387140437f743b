"""Learning curves as vectors of unbounded numbers: logarithms of losses and seconds, logits of accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from nas.jobs import Curve, Epoch
from nas.tabular.surrogate.features import Floats

LOSSES = ("train_loss", "val_loss")
ACCURACIES = ("val_accuracy", "val_balanced_accuracy")
QUANTITIES = (*LOSSES, *ACCURACIES, "seconds")
SMALLEST = 1e-6
"""Least loss and seconds whose logarithm is taken."""


def logit(accuracy: Floats, images: int) -> Floats:
    """Return the logit of accuracies, which half an image keeps from 0 and 1.

    Args:
        accuracy: in [0, 1].
        images: number of images that they were measured on.
    """
    right = np.clip(accuracy, 0.0, 1.0) * images
    return np.log((right + 0.5) / (images - right + 0.5))


def accuracy_of(logits: Floats, images: int) -> Floats:
    """Return the accuracies whose `logit` these are, in [0, 1].

    >>> accuracy_of(logit(np.array([0.0, 0.5, 1.0]), 80), 80).round(12).tolist()
    [0.0, 0.5, 1.0]
    """
    share = 1.0 / (1.0 + np.exp(-logits))
    return np.clip((share * (images + 1) - 0.5) / images, 0.0, 1.0)


@final
@dataclass(frozen=True)
class CurveCoder:
    """Conversion of learning curves to vectors and back.

    A vector has the quantities one after the other, each with all epochs: (quantities * epochs,).

    Attributes:
        epochs: number of epochs of a full training.
        images: number of validation images.
    """

    epochs: int
    images: int

    def columns(self, quantity: str) -> slice:
        """Return the place of a quantity in a vector."""
        first = QUANTITIES.index(quantity) * self.epochs
        return slice(first, first + self.epochs)

    def encode(self, curve: Curve) -> Floats:
        """Return the vector of a full learning curve."""
        values = {name: np.array([getattr(row, name) for row in curve]) for name in QUANTITIES}
        parts = [
            logit(values[name], self.images) if name in ACCURACIES else np.log(np.maximum(values[name], SMALLEST))
            for name in QUANTITIES
        ]
        return np.concatenate(parts)

    def decode(self, vector: Floats) -> Curve:
        """Return the learning curve of a vector; validation accuracies are of a whole number of images."""
        values = {name: np.exp(vector[self.columns(name)]) for name in (*LOSSES, "seconds")}
        values |= {name: accuracy_of(vector[self.columns(name)], self.images) for name in ACCURACIES}
        values["val_accuracy"] = np.round(values["val_accuracy"] * self.images) / self.images
        return tuple(
            Epoch(epoch + 1, **{name: float(values[name][epoch]) for name in QUANTITIES})
            for epoch in range(self.epochs)
        )

    def last_accuracy(self, vector: Floats) -> float:
        """Return the last validation accuracy of a vector."""
        right = accuracy_of(vector[self.columns("val_accuracy")][-1:], self.images) * self.images
        return float(np.round(right[0]) / self.images)


@final
@dataclass(frozen=True, eq=False)
class CurveBasis:
    """Principal components of learning curves, apart from the seconds, which have one number: the mean logarithm.

    Attributes:
        coder: of the curves.
        mean: (d,) mean vector.
        scale: (d,) scale of each column: the same for all epochs of a quantity.
        components: (k, d) orthonormal rows; zero in the columns of the seconds.
    """

    coder: CurveCoder
    mean: Floats
    scale: Floats
    components: Floats

    @classmethod
    def fit(cls, coder: CurveCoder, vectors: Floats, count: int) -> CurveBasis:
        """Return the basis of some curves.

        Args:
            coder: of the curves.
            vectors: (n, d) curves, at least 2.
            count: number of components; fewer if there are not as many curves.
        """
        mean, scale = vectors.mean(axis=0), np.ones(vectors.shape[1])
        for name in QUANTITIES:
            part = coder.columns(name)
            scale[part] = max(float(vectors[:, part].std(axis=0).mean()), SMALLEST)
        centred = (vectors - mean) / scale
        centred[:, coder.columns("seconds")] = 0.0
        components = np.linalg.svd(centred, full_matrices=False)[2][:count]
        signs = np.sign(components[np.arange(len(components)), np.abs(components).argmax(axis=1)])
        return cls(coder, mean, scale, components * signs[:, None])

    def scores(self, vectors: Floats) -> Floats:
        """Return components and the mean logarithm of the seconds of an epoch: (n, k + 1)."""
        centred = (vectors - self.mean) / self.scale
        seconds = (vectors - self.mean)[:, self.coder.columns("seconds")].mean(axis=1)
        return np.column_stack([centred @ self.components.T, seconds])

    def vectors(self, scores: Floats) -> Floats:
        """Return the curves of some scores: (n, d)."""
        found = self.mean + self.scale * (scores[:, :-1] @ self.components)
        found[:, self.coder.columns("seconds")] += scores[:, -1:]
        return found


def charged(curve: Curve, seconds: Sequence[float]) -> Curve:
    """Return a learning curve with other seconds."""
    return tuple(Epoch(**{**row.to_json(), "seconds": spent}) for row, spent in zip(curve, seconds, strict=True))
