"""Device whose operators take known times, for tests of the latency model."""

from __future__ import annotations

import random

import numpy as np

from nas.objectives.latency.files import LatencyOptions, space_identity
from nas.objectives.latency.machine import this_machine
from nas.objectives.latency.model import LatencyModel
from nas.objectives.latency.operators import COLUMNS, KINDS, Operator, features_of, operators_of
from nas.objectives.latency.regression import Measured, fit
from search_space.graph import Graph
from search_space.lowering import lower
from search_space.space import Space

FIXED_MS = 0.05


def operator_ms(operator: Operator) -> float:
    """Return the known milliseconds of an operator: a launch, its multiply-accumulates and the elements it moves."""
    features = dict(zip(COLUMNS, features_of(operator), strict=True))
    launch = 0.01 * (1 + KINDS.index(operator.kind) % 3)
    return launch + 2e-6 * features["multiplied"] + 1e-5 * (features["read"] + features["written"])


def network_ms(graph: Graph) -> float:
    """Return the known milliseconds of a network."""
    return FIXED_MS + sum(operator_ms(operator) for operator in operators_of(graph))


def model_of(space: Space, networks: int = 60, options: LatencyOptions | None = None) -> LatencyModel:
    """Return a model that is fitted on random networks of a space on the known device, as if it were this one."""
    generator = random.Random(0)
    graphs = [lower(space.draw(generator)) for _ in range(networks)]
    operators = list(dict.fromkeys(operator for graph in graphs[:8] for operator in operators_of(graph)))
    measured = Measured(
        networks=graphs,
        milliseconds=np.array([network_ms(graph) for graph in graphs]),
        operators=operators,
        alone=np.array([operator_ms(operator) for operator in operators]),
        device=this_machine(),
        circumstances=(options or LatencyOptions()).circumstances,
        fitted_on=space_identity(space),
    )
    return fit(measured)
