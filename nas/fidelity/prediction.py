"""What a network trained in part will come to: its value at the end from its learning curve so far and its costs.

With y the logarithm of the loss on an objective's axis (an error of 2 % is as far from 1 % as 40 % from 20 %), the gain
still to come at epoch r of E, y_r − y_E, is taken to be linear in y_r itself, in the logarithms of training and
validation loss, and in those of the costs, all standardised over the trials that came as far. The regression is
Bayesian: before any trial is complete, a network is expected to gain what networks usually do and to keep its rank;
with each complete one the weights follow more what was seen.

In a pilot of 541 networks the training loss after a third of the schedule told far more of the final accuracy than the
validation accuracy then, and both together with the costs most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nas.fidelity.factory import Horizon
from nas.jobs import Curve
from nas.study.trial import Expected, Record, State

Floats = NDArray[np.float64]

USUAL_GAIN = 0.5
"""Prior mean of the gain, in standard deviations of the logarithms at that epoch."""

NOISE = 0.5
"""Prior standard deviation of what the regression leaves, on the same scale."""

SLOPE = 0.3
"""Prior standard deviation of the gain by a standard deviation of a feature; that of the mean gain is 1."""

NOISE_WEIGHT = 3.0
"""Trials that the prior of the noise counts for."""

LEAST_DEVIATION = 1e-3

SHIFT = 0.02
"""Added to a loss before its logarithm is taken."""


class Prediction:
    """Predicts the ends of learning curves, from the trials of one study alone."""

    def __init__(self, horizon: Horizon, records: Iterable[Record]) -> None:
        """Learn from the trials that are complete.

        Args:
            horizon: of the trainings.
            records: all trials of the study.
        """
        self._horizon = horizon
        self._records = [record for record in records if record.curve]
        self._axes = {axis.name: axis for axis in horizon.axes if axis.name not in horizon.costs}
        self._told = list(self._axes)

    def of(self, records: Sequence[Record]) -> dict[int, Expected]:
        """What is expected of trials with a learning curve, by number; of others nothing."""
        found: dict[int, Expected] = {}
        for epoch in sorted({len(record.curve) for record in records} - {0}):
            found |= self._at(epoch, [record for record in records if len(record.curve) == epoch])
        return {record.number: found[record.number] for record in records if record.number in found}

    def _at(self, epoch: int, wanted: Sequence[Record]) -> dict[int, Expected]:
        """What is expected of trials that stand at one epoch."""
        peers = [record for record in self._records if len(record.curve) >= epoch]
        complete = [record for record in peers if record.state == State.COMPLETE]
        x, centre, spread = _standardised(_features(self._horizon, peers, epoch))
        asked = (_features(self._horizon, wanted, epoch) - centre) / spread
        known = x[[record.state == State.COMPLETE for record in peers]]
        means, deviations = {}, {}
        for name in self._told:
            now = self._logs(peers, name, epoch)
            gains = self._logs(complete, name, epoch) - self._logs(complete, name, self._horizon.epochs)
            unit = float(now.std()) or 1.0
            mean, deviation = regress(known, gains / unit, asked)
            ends = np.exp(self._logs(wanted, name, epoch) - unit * mean)
            means[name] = self._axes[name].value(ends - SHIFT)
            wide = np.abs(self._axes[name].value(ends * (1 + unit * deviation) - SHIFT) - means[name])
            deviations[name] = np.maximum(wide, LEAST_DEVIATION)
        return {
            record.number: Expected(
                self._values_of(record.curve, record.candidate.costs)
                | {name: float(means[name][place]) for name in self._told},
                float(deviations[self._told[0]][place]) if self._told else LEAST_DEVIATION,
                full_seconds(record, self._horizon.epochs),
            )
            for place, record in enumerate(wanted)
        }

    def _logs(self, records: Sequence[Record], name: str, epoch: int) -> Floats:
        """Logarithms (n,) of what an objective stood at after an epoch, as a loss on its axis."""
        values = [self._values_of(r.curve[:epoch], r.candidate.costs)[name] for r in records]
        return np.log([max(self._axes[name].loss(value), 0.0) + SHIFT for value in values])

    def _values_of(self, curve: Curve, costs: Mapping[str, float]) -> dict[str, float]:
        return dict(self._horizon.values(curve, costs))


def full_seconds(record: Record, epochs: int) -> float:
    """Seconds of a full training of a trial that has a curve, at the pace so far; positive."""
    return max(record.seconds, 1e-9) / len(record.curve) * epochs


def regress(x: Floats, y: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """Bayesian linear regression with an intercept of mean `USUAL_GAIN`.

    The noise is what leaving one out leaves, together with a prior that counts for `NOISE_WEIGHT` observations.

    Args:
        x: (n, p) standardised features, n at least 0.
        y: (n,) values.
        wanted: (m, p) features.

    Returns:
        Means (m,) and standard deviations (m,) of the values there, noise included.
    """
    design = np.column_stack([np.ones(len(x)), x])
    rest = y - USUAL_GAIN
    prior = np.full(design.shape[1], 1 / SLOPE**2)
    prior[0] = 1.0
    precision = design.T @ design / NOISE**2 + np.diag(prior)
    covariance = np.linalg.inv(precision)
    weights = covariance @ design.T @ rest / NOISE**2
    leverage = np.einsum("ij,jk,ik->i", design, covariance, design) / NOISE**2
    left_out = (rest - design @ weights) / np.maximum(1.0 - leverage, 1e-3)
    noise = (NOISE_WEIGHT * NOISE**2 + (left_out**2).sum()) / (NOISE_WEIGHT + len(y))
    there = np.column_stack([np.ones(len(wanted)), wanted])
    doubt = np.einsum("ij,jk,ik->i", there, covariance, there) * noise / NOISE**2
    return USUAL_GAIN + there @ weights, np.sqrt(noise + doubt)


def _features(horizon: Horizon, records: Sequence[Record], epoch: int) -> Floats:
    """Features (n, p) of trials that came at least as far as `epoch`."""
    rows = []
    for record in records:
        row, costs = record.curve[epoch - 1], record.candidate.costs
        values = horizon.values(record.curve[:epoch], costs)
        told = [_log(axis.loss(values[axis.name]) + SHIFT) for axis in horizon.axes if axis.name not in horizon.costs]
        rows.append([*told, *(_log(value) for value in (row.train_loss, row.val_loss, costs["macs"], costs["params"]))])
    return np.nan_to_num(np.array(rows, dtype=np.float64), nan=0.0, posinf=20.0, neginf=-20.0)


def _log(value: float) -> float:
    return float(np.log(max(value, 1e-9)))


def _standardised(x: Floats) -> tuple[Floats, Floats, Floats]:
    """The rows with mean 0 and deviation 1 in each column, and the means and deviations that they had."""
    centre, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    return (x - centre) / spread, centre, spread
