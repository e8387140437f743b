"""Latency model of one device: measured operators, composed over a network and corrected by a regression.

The latency of a network is a sum over its operators, so that it is exact for any network once its terms are:

    latency = fixed + Σ_operators [ share(kind) · alone(operator) + correction(kind) · features(operator) ]

`alone` is the operator's latency by itself, as measured, or from a regression of the measured ones where its shape was
not measured. The correction says what differs within a network: calls, caches, operators that the runtime fuses. All
coefficients are non-negative, so that no wider or deeper network is predicted to be faster by the features.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from nas.objectives.latency.operators import COLUMNS, KINDS, Operator, features_of, key_of, operators_of
from search_space.graph import Graph, Shape

Floats = NDArray[np.float64]

BEYOND = 1.1
"""Ratio to the largest fitted value of a feature from which on a network is outside the fitted range."""

LEAST_MS = 1e-6

TERMS = 1 + len(COLUMNS)
"""Terms of an operator: its latency alone, and its features."""


@dataclass(frozen=True)
class Errors:
    """Errors of predictions on networks that took no part in the fit.

    Attributes:
        networks: number of those networks.
        median: median absolute error as a share of the measured latency.
        p90: its 90th percentile.
        tau: Kendall's rank correlation with the measured latencies.
    """

    networks: int
    median: float
    p90: float
    tau: float


@dataclass(frozen=True)
class Prediction:
    """Predicted latency of one network.

    Attributes:
        milliseconds: latency of one inference of a batch, positive.
        outside: whether the network is outside the range of the fit, so that the stated errors say nothing about it.
    """

    milliseconds: float
    outside: bool


@final
@dataclass(frozen=True)
class LatencyModel:
    """Fitted model, as its file has it.

    Attributes:
        device: device, as `machine.this_machine` describes it; text by name.
        circumstances: batch, threads, precision and runtime of the measurements.
        fitted_on: input (C, H, W), name and hash of the space.
        operators: milliseconds of operators alone, by their keys.
        alone: coefficients (features,) of operators that were not measured, by kind.
        fixed: milliseconds of every network, at least 0.
        terms: coefficients (1 + features,) by kind: share of the operator's own latency, then of its features.
        largest: largest sum of each feature over a fitted network, by kind.
        range_ms: least and largest latency of the fitted networks.
        errors: errors of this model, of MACs alone and of parameters alone on the same held-out networks, by name.
    """

    device: Mapping[str, str]
    circumstances: Mapping[str, Any]
    fitted_on: Mapping[str, Any]
    operators: Mapping[str, float]
    alone: Mapping[str, Sequence[float]]
    fixed: float
    terms: Mapping[str, Sequence[float]]
    largest: Mapping[str, Sequence[float]]
    range_ms: tuple[float, float]
    errors: Mapping[str, Errors]

    def __post_init__(self) -> None:
        for name, table in (("alone", self.alone), ("terms", self.terms), ("largest", self.largest)):
            width = TERMS if name == "terms" else len(COLUMNS)
            for kind, numbers in table.items():
                if kind not in KINDS or len(numbers) != width or not all(0 <= n < np.inf for n in numbers):
                    raise ValueError(f"{name} of a latency model must have {width} numbers >= 0 a kind, got {kind}")
        if not 0 <= self.fixed < np.inf or not 0 < self.range_ms[0] <= self.range_ms[1]:
            raise ValueError(f"a latency model must have positive times, got {self.fixed:g} and {self.range_ms}")

    @property
    def hash(self) -> str:
        """Short hash of the whole model, which stands in the fingerprint of a study that uses it."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def stated_error(self) -> float:
        """90th percentile of the absolute error on held-out networks, as a share."""
        return self.errors["model"].p90

    def predict(self, graph: Graph) -> Prediction:
        """Return the predicted latency of a network."""
        milliseconds, features = self.total(operators_of(graph))
        return self.judged(graph.input, features, self.fixed + milliseconds)

    def total(self, operators: Sequence[Operator]) -> tuple[float, Floats]:
        """Return what operators add to a latency, in milliseconds, and the sums (kinds, features) of their features."""
        milliseconds, features = 0.0, self.no_features()
        for operator in operators:
            numbers = np.array(features_of(operator))
            features[KINDS.index(operator.kind)] += numbers
            milliseconds += self._share(operator, numbers)
        return milliseconds, features

    def no_features(self) -> Floats:
        """Return the sums (kinds, features) over no operator."""
        return np.zeros((len(KINDS), len(COLUMNS)))

    def judged(self, shape: Shape, features: Floats, milliseconds: float) -> Prediction:
        """Return the prediction for a network with these sums, and whether it is outside the fitted range."""
        milliseconds = max(milliseconds, LEAST_MS)
        least, most = self.range_ms
        within = (
            list(shape) == list(self.fitted_on.get("input", shape))
            and bool(np.all(features <= self._limits))
            and least / BEYOND <= milliseconds <= most * BEYOND
        )
        return Prediction(milliseconds, not within)

    def alone_ms(self, operator: Operator) -> float:
        """Return the milliseconds of an operator by itself: measured, or by the regression over its kind."""
        measured = self.operators.get(key_of(operator))
        if measured is not None:
            return measured
        coefficients = self.alone.get(operator.kind)
        return 0.0 if coefficients is None else float(np.dot(coefficients, features_of(operator)))

    def parts_of(self, graph: Graph) -> list[tuple[Operator, float]]:
        """Return the operators of a network with the milliseconds that each adds to its predicted latency."""
        return [(operator, self._share(operator, np.array(features_of(operator)))) for operator in operators_of(graph)]

    def _share(self, operator: Operator, features: Floats) -> float:
        terms = self.terms.get(operator.kind)
        if terms is None:
            return 0.0
        first, *rest = terms
        own = first * self.alone_ms(operator) if first else 0.0
        return own + float(np.dot(rest, features))

    @cached_property
    def _limits(self) -> Floats:
        return BEYOND * np.array([self.largest.get(kind, [0.0] * len(COLUMNS)) for kind in KINDS])

    def to_json(self) -> dict[str, Any]:
        """Return the model as a JSON object."""
        return {
            "device": dict(self.device),
            "circumstances": dict(self.circumstances),
            "fitted_on": dict(self.fitted_on),
            "errors": {name: asdict(errors) for name, errors in self.errors.items()},
            "range_ms": list(self.range_ms),
            "fixed": self.fixed,
            "columns": list(COLUMNS),
            "terms": {kind: list(numbers) for kind, numbers in self.terms.items()},
            "alone": {kind: list(numbers) for kind, numbers in self.alone.items()},
            "largest": {kind: list(numbers) for kind, numbers in self.largest.items()},
            "operators": dict(self.operators),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> LatencyModel:
        """Return the model of a JSON object.

        Raises:
            ValueError: it is not one of this version.
        """
        try:
            if document["columns"] != list(COLUMNS):
                raise ValueError(f"features of a latency model must be {', '.join(COLUMNS)}; fit it again")
            least, most = document["range_ms"]
            return cls(
                device=dict(document["device"]),
                circumstances=dict(document["circumstances"]),
                fitted_on=dict(document["fitted_on"]),
                operators={key: float(ms) for key, ms in document["operators"].items()},
                alone=_numbers(document["alone"]),
                fixed=float(document["fixed"]),
                terms=_numbers(document["terms"]),
                largest=_numbers(document["largest"]),
                range_ms=(float(least), float(most)),
                errors={name: Errors(**errors) for name, errors in document["errors"].items()},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a latency model must have every field, got {type(error).__name__}: {error}") from error


def _numbers(table: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    return {kind: tuple(float(number) for number in numbers) for kind, numbers in table.items()}
