"""Fit of a latency model: non-negative least squares on relative errors, with held-out errors by cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import kendalltau

from nas.objectives.costs.macs import COST as MACS
from nas.objectives.costs.params import COST as PARAMS
from nas.objectives.latency.model import TERMS, Errors, LatencyModel
from nas.objectives.latency.operators import COLUMNS, KINDS, Operator, features_of, key_of, operators_of
from search_space.cost import cost
from search_space.graph import Graph

Floats = NDArray[np.float64]

RIDGE = 0.03
"""Weight of the squared coefficients, each scaled by the largest value of its column, against relative errors."""

FOLDS = 8
LEAST_NETWORKS = 2 * FOLDS


@dataclass(frozen=True)
class Measured:
    """Measurements that a model is fitted on.

    Attributes:
        networks: networks, at least `LEAST_NETWORKS`.
        milliseconds: their latencies (n,), positive.
        operators: operators that were measured alone.
        alone: their latencies (m,), positive.
        device: device that they were measured on.
        circumstances: batch, threads, precision and runtime.
        fitted_on: input, name and hash of the space.

    Raises:
        ValueError: too few networks, or a latency that is not positive.
    """

    networks: Sequence[Graph]
    milliseconds: Floats
    operators: Sequence[Operator] = ()
    alone: Floats = field(default_factory=lambda: np.zeros(0))
    device: Mapping[str, str] = field(default_factory=dict)
    circumstances: Mapping[str, Any] = field(default_factory=dict)
    fitted_on: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.networks) < LEAST_NETWORKS:
            raise ValueError(f"a latency model must be fitted on {LEAST_NETWORKS} networks, got {len(self.networks)}")
        for times, count in ((self.milliseconds, len(self.networks)), (self.alone, len(self.operators))):
            if times.shape != (count,) or not np.all((times > 0) & np.isfinite(times)):
                raise ValueError(f"{count} latencies must be positive, got {times.shape}, least {times.min():g}")


def fit(measured: Measured) -> LatencyModel:
    """Return the model fitted on all measurements, with the errors of cross-validated fits on the networks left out."""
    base = _operators_fitted(measured)
    sums = np.array([_sums(base, graph) for graph in measured.networks])  # (n, kinds, terms)
    design, target = _design(sums), measured.milliseconds
    errors = {"model": held_out(lambda train, test: design[test] @ _coefficients(design[train], target[train]), target)}
    costs = [cost(graph) for graph in measured.networks]
    for name in (MACS.name, PARAMS.name):
        alone = np.array([getattr(known, name) for known in costs], dtype=np.float64)
        errors[name] = held_out(power_law(alone, target), target)
    return _with(base, _coefficients(design, target), sums, errors, target)


def held_out(predict: Callable[[NDArray[np.int64], NDArray[np.int64]], Floats], target: Floats) -> Errors:
    """Return the errors of predictions for each fold of networks by a fit on the others.

    Args:
        predict: returns predictions for the networks of its second argument, fitted on those of the first.
        target: measured latencies (n,).
    """
    order = np.random.default_rng(0).permutation(len(target))
    found = np.empty(len(target))
    for test in np.array_split(order, FOLDS):
        found[test] = predict(np.setdiff1d(order, test), test)
    return errors_of(found, target)


def errors_of(predicted: Floats, measured: Floats) -> Errors:
    """Return the errors of predicted latencies (n,) against measured ones."""
    shares = np.abs(predicted / measured - 1)
    median, p90 = np.quantile(shares, [0.5, 0.9])
    tau = float(kendalltau(predicted, measured).statistic)
    return Errors(len(measured), float(median), float(p90), tau if np.isfinite(tau) else 0.0)


def power_law(known: Floats, target: Floats) -> Callable[[NDArray[np.int64], NDArray[np.int64]], Floats]:
    """Return a predictor of latency from one cost: a straight line between the logarithms."""
    logs = np.column_stack([np.log(np.maximum(known, 1.0)), np.ones(len(known))])

    def predict(train: NDArray[np.int64], test: NDArray[np.int64]) -> Floats:
        line = np.linalg.lstsq(logs[train], np.log(target[train]), rcond=None)[0]
        return np.asarray(np.exp(logs[test] @ line), dtype=np.float64)

    return predict


def _coefficients(design: Floats, target: Floats, ridge: float = RIDGE) -> Floats:
    """Return non-negative coefficients (k,) of the least relative squared error with a ridge penalty."""
    scale = np.maximum(design.max(axis=0), 1e-12)
    scaled = design / scale / target[:, None]
    penalty = ridge * np.eye(design.shape[1])
    rows = np.vstack([scaled, penalty])
    found, _ = nnls(rows, np.concatenate([np.ones(len(target)), np.zeros(design.shape[1])]), maxiter=30 * rows.shape[1])
    return np.asarray(found * (design.max(axis=0) > 0) / scale, dtype=np.float64)


def _operators_fitted(measured: Measured) -> LatencyModel:
    """Return a model of operators alone: the measured ones, and a regression for each kind."""
    alone: dict[str, tuple[float, ...]] = {}
    for kind in KINDS:
        rows = [place for place, operator in enumerate(measured.operators) if operator.kind == kind]
        if rows:
            design = np.array([features_of(measured.operators[place]) for place in rows])
            alone[kind] = tuple(_coefficients(design, measured.alone[rows], ridge=0.01).tolist())
    least, most = float(measured.milliseconds.min()), float(measured.milliseconds.max())
    return LatencyModel(
        device=measured.device,
        circumstances=measured.circumstances,
        fitted_on=measured.fitted_on,
        operators={key_of(o): float(ms) for o, ms in zip(measured.operators, measured.alone, strict=True)},
        alone=alone,
        fixed=0.0,
        terms={},
        largest={},
        range_ms=(least, most),
        errors={},
    )


def _sums(base: LatencyModel, graph: Graph) -> Floats:
    """Return the sums (kinds, terms) over a network's operators: of their own latencies, and of their features."""
    found = np.zeros((len(KINDS), TERMS))
    for operator in operators_of(graph):
        found[KINDS.index(operator.kind)] += (base.alone_ms(operator), *features_of(operator))
    return found


def _design(sums: Floats) -> Floats:
    """Return the design matrix (n, kinds · terms + 1), whose last column is the fixed part."""
    return np.column_stack([sums.reshape(len(sums), -1), np.ones(len(sums))])


def _with(
    base: LatencyModel, found: Floats, sums: Floats, errors: Mapping[str, Errors], target: Floats
) -> LatencyModel:
    terms, largest = found[:-1].reshape(len(KINDS), TERMS), sums[:, :, 1:].max(axis=0)
    present = [place for place in range(len(KINDS)) if largest[place, COLUMNS.index("calls")] > 0]
    return LatencyModel(
        device=base.device,
        circumstances=base.circumstances,
        fitted_on=base.fitted_on,
        operators=base.operators,
        alone=base.alone,
        fixed=float(found[-1]),
        terms={KINDS[place]: tuple(terms[place].tolist()) for place in present},
        largest={KINDS[place]: tuple(largest[place].tolist()) for place in present},
        range_ms=(float(target.min()), float(target.max())),
        errors=errors,
    )
