"""Learning-curve prediction: the objectives at the end of a training, from its first epochs and the network's costs.

Let y be the logarithm of the loss on an objective's axis, since an error of 2 % is as far from 1 % as 40 % from 20 %.
The gain still to come at epoch r of E, y_r − y_E, is modelled as linear in y_r, in the logarithms of training and
validation loss, and in those of the costs, all standardised over the trials that have reached epoch r. The regression
is Bayesian: before any trial is complete, a network is predicted to gain the prior mean and so to keep its rank; each
complete trial moves the weights towards the data.

In a pilot of 541 networks, the training loss after a third of the schedule predicted the final accuracy far better
than the validation accuracy at that epoch, and both together with the costs best.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nas.fidelity.factory import Horizon
from nas.jobs import Curve, validated_part
from nas.objectives.costs.macs import COST as MACS
from nas.objectives.costs.params import COST as PARAMS
from nas.objectives.loss_scale import NATS, LossScale
from nas.objectives.pareto import Axis
from nas.study.trial import Expected, Record, State

Floats = NDArray[np.float64]

GAIN_MEAN = 0.5
"""Prior mean of the gain, in standard deviations of y_r over the trials."""

NOISE = 0.5
"""Prior standard deviation of the residuals, in the same unit."""

SLOPE_DEVIATION = 0.3
"""Prior standard deviation of the weight of a standardised feature; that of the intercept is 1."""

NOISE_WEIGHT = 3.0
"""Number of observations that the prior of the noise counts as."""

LEAST_DEVIATION = 1e-3
"""Lower bound of the predicted standard deviation, in the unit of the objective."""


class CurvePredictor:
    """Predictor of the ends of learning curves, from the trials of one study alone."""

    def __init__(self, horizon: Horizon, records: Iterable[Record]) -> None:
        """Make a predictor that learns from the complete trials.

        Args:
            horizon: full training and objectives.
            records: all trials of the study.
        """
        self._horizon = horizon
        self._records = [record for record in records if record.curve]
        self._axes = {axis.name: axis for axis in horizon.axes if axis.name not in horizon.costs}
        self._predicted = list(self._axes)

    def predict(self, records: Sequence[Record]) -> dict[int, Expected]:
        """Return the predicted ends of trials by number, but for trials without a learning curve."""
        found: dict[int, Expected] = {}
        epochs = {record.number: len(validated_part(record.curve)) for record in records}
        for epoch in sorted({*epochs.values()} - {0}):
            found |= self._predict_at(epoch, [record for record in records if epochs[record.number] == epoch])
        return {record.number: found[record.number] for record in records if record.number in found}

    def _predict_at(self, epoch: int, wanted: Sequence[Record]) -> dict[int, Expected]:
        """Return the predicted ends of trials that were validated last after this epoch."""
        peers = [r for r in self._records if len(r.curve) >= epoch and r.curve[epoch - 1].validated]
        complete = [record for record in peers if record.state == State.COMPLETE]
        x, centre, spread = _standardised(_features(self._horizon, peers, epoch))
        asked = (_features(self._horizon, wanted, epoch) - centre) / spread
        known = x[[record.state == State.COMPLETE for record in peers]]
        means, deviations = {}, {}
        for name in self._predicted:
            now = self._logs(peers, name, epoch)
            gains = self._logs(complete, name, epoch) - self._logs(complete, name, self._horizon.epochs)
            unit = float(now.std()) or 1.0
            mean, deviation = regress(known, gains / unit, asked)
            axis, scale = self._axes[name], LossScale.of(self._axes[name])
            ends = self._logs(wanted, name, epoch) - unit * mean
            means[name] = axis.value(scale.losses(ends / NATS))
            wide = np.abs(axis.value(scale.losses((ends + unit * deviation) / NATS)) - means[name])
            deviations[name] = np.maximum(wide, LEAST_DEVIATION)
        return {
            record.number: Expected(
                self._values_of(record.curve[:epoch], record.candidate.costs)
                | {name: float(means[name][place]) for name in self._predicted},
                float(deviations[self._predicted[0]][place]) if self._predicted else LEAST_DEVIATION,
                full_seconds(record, self._horizon.epochs),
            )
            for place, record in enumerate(wanted)
        }

    def _logs(self, records: Sequence[Record], name: str, epoch: int) -> Floats:
        """Return y_r (n,) after an epoch: the logarithms of an objective's losses."""
        values = [self._values_of(r.curve[:epoch], r.candidate.costs)[name] for r in records]
        return log_losses(self._axes[name], values)

    def _values_of(self, curve: Curve, costs: Mapping[str, float]) -> dict[str, float]:
        return dict(self._horizon.values(curve, costs))


def log_losses(axis: Axis, values: Sequence[float]) -> Floats:
    """Return the logarithms (n,) of the losses of some values, on the scale on which they are modelled, in nats."""
    losses = np.array([axis.loss(value) for value in values], dtype=np.float64)
    return NATS * LossScale.of(axis).modelled(losses)


def predict_unfinished(horizon: Horizon, records: Mapping[int, Record], rung: int) -> dict[int, Expected]:
    """Return the predicted ends of trials that run or were pruned, and have reached the epoch of a rung.

    Args:
        horizon: full training and objectives.
        records: all trials of the study, by number.
        rung: epoch of the first rung, at least 1.
    """
    unfinished = [
        record
        for record in records.values()
        if record.state in (State.RUNNING, State.PRUNED) and len(validated_part(record.curve)) >= rung
    ]
    return CurvePredictor(horizon, records.values()).predict(unfinished)


def full_seconds(record: Record, epochs: int) -> float:
    """Return the seconds of a full training at the speed of a trial's epochs so far, at least one; positive."""
    return max(record.seconds, 1e-9) / len(record.curve) * epochs


def regress(x: Floats, y: Floats, wanted: Floats) -> tuple[Floats, Floats]:
    """Predict by Bayesian linear regression with an intercept of prior mean `GAIN_MEAN`.

    The noise variance is the mean squared leave-one-out residual, with a prior that counts as `NOISE_WEIGHT`
    observations.

    Args:
        x: (n, p) standardised features, n at least 0.
        y: (n,) values.
        wanted: (m, p) features to predict at.

    Returns:
        Means (m,) and standard deviations (m,) of the predictive distribution, noise included.
    """
    design = np.column_stack([np.ones(len(x)), x])
    residuals = y - GAIN_MEAN
    prior = np.full(design.shape[1], 1 / SLOPE_DEVIATION**2)
    prior[0] = 1.0
    precision = design.T @ design / NOISE**2 + np.diag(prior)
    covariance = np.linalg.inv(precision)
    weights = covariance @ design.T @ residuals / NOISE**2
    leverage = np.einsum("ij,jk,ik->i", design, covariance, design) / NOISE**2
    left_out = (residuals - design @ weights) / np.maximum(1.0 - leverage, 1e-3)
    noise = (NOISE_WEIGHT * NOISE**2 + (left_out**2).sum()) / (NOISE_WEIGHT + len(y))
    there = np.column_stack([np.ones(len(wanted)), wanted])
    uncertainty = np.einsum("ij,jk,ik->i", there, covariance, there) * noise / NOISE**2
    return GAIN_MEAN + there @ weights, np.sqrt(noise + uncertainty)


def _features(horizon: Horizon, records: Sequence[Record], epoch: int) -> Floats:
    """Return the features (n, p) after an epoch that all of the trials have reached."""
    rows = []
    for record in records:
        row, costs = record.curve[epoch - 1], record.candidate.costs
        values = horizon.values(record.curve[:epoch], costs)
        trained = [axis for axis in horizon.axes if axis.name not in horizon.costs]
        logs = [float(log_losses(axis, [values[axis.name]])[0]) for axis in trained]
        assert row.val_loss is not None
        losses_and_costs = (row.train_loss, row.val_loss, costs[MACS.name], costs[PARAMS.name])
        rows.append([*logs, *(_log(value) for value in losses_and_costs)])
    return np.nan_to_num(np.array(rows, dtype=np.float64), nan=0.0, posinf=20.0, neginf=-20.0)


def _log(value: float) -> float:
    return float(np.log(max(value, 1e-9)))


def _standardised(x: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the columns with mean 0 and standard deviation 1, and the means and deviations taken out."""
    centre, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 1e-9, spread, 1.0)
    return (x - centre) / spread, centre, spread
