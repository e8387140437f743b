"""Predicted latency of a network on one device, by a model that `nas measure fit=true` fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nas.objectives.costs.cost import Cost, Measurable
from nas.objectives.latency.files import LatencyOptions, find
from nas.objectives.latency.model import Prediction
from nas.objectives.latency.parts import Predictor
from search_space.space import Space


def latency_ms(network: Measurable) -> float:
    """Raise, since latency is of one device: `for_space` gives the cost with the device's model.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"latency_ms must be asked of a device's model, got {network} without one")


def for_space(options: Mapping[str, Any], space: Space) -> Cost:
    """Return the cost by the model that fits the options of an objective.

    Args:
        options: fields of `LatencyOptions`.
        space: the space that is searched.

    Raises:
        ValueError: an unknown option or one out of range, or no model for it.
    """
    known = list(LatencyOptions.__dataclass_fields__)
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"options of latency_ms must be of {', '.join(known)}, got {', '.join(unknown)}")
    predictor = Predictor(find(LatencyOptions(**options), space))

    def predict(network: Measurable) -> Prediction:
        if network.architecture is not None:
            return predictor.predict(network.architecture)
        return predictor.model.predict(network.graph)

    return replace(
        COST,
        measure=lambda network: predict(network).milliseconds,
        extrapolated=lambda network: predict(network).outside,
        prepare=None,
        origin=predictor.model.hash,
    )


COST = Cost(
    "latency_ms",
    "latency",
    latency_ms,
    unit="ms",
    description="predicted latency of an inference on the device that a model was fitted on",
    heading="latency (ms)",
    integer=False,
    place=4,
    prepare=for_space,
)
