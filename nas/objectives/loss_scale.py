"""Scale on which a loss is modelled: the axis' own if that is logarithmic, else the logarithm of the shifted loss.

Errors of one kind of network differ by factors rather than by differences, so surrogates and learning-curve predictions
take the logarithm of a loss to be normal. The loss on a logarithmic axis is such a logarithm already, up to scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from nas.objectives.expected_improvement import Improvement, expected_improvement, expected_log_improvement
from nas.objectives.pareto import ERROR_SHIFT, Axis

Floats = NDArray[np.float64]

NATS = float(np.log((1 + ERROR_SHIFT) / ERROR_SHIFT))
"""Nats from a shifted loss of 0 to one of 1: the length of the modelled scale, which a logarithmic axis counts as 1."""


@final
@dataclass(frozen=True)
class LossScale:
    """Monotone map from the losses of an axis to modelled values, 0 at the best end and 1 at the worst.

    Attributes:
        logarithmic: whether the axis' own scale is a logarithm, so that the map is the identity.
    """

    logarithmic: bool

    @classmethod
    def of(cls, axis: Axis) -> LossScale:
        """Return the scale of an axis."""
        return cls(axis.log or axis.error)

    def modelled(self, losses: Floats) -> Floats:
        """Return the modelled values of losses."""
        if self.logarithmic:
            return losses
        return np.log(np.maximum(losses, 0.0) / ERROR_SHIFT + 1.0) / NATS

    def losses(self, modelled: Floats) -> Floats:
        """Return the losses of modelled values; the inverse of `modelled`."""
        if self.logarithmic:
            return modelled
        return (np.exp(NATS * modelled) - 1.0) * ERROR_SHIFT

    def improvement(self) -> Improvement:
        """Return the expected improvement on losses, given means and deviations of their normal modelled values."""
        if self.logarithmic:
            return expected_improvement
        shifted = expected_log_improvement(ERROR_SHIFT)

        def improvement(best: Floats, means: Floats, deviations: Floats) -> Floats:
            return shifted(best, NATS * means + np.log(ERROR_SHIFT), NATS * deviations)

        return improvement
