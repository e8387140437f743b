"""From a checkpoint back to a network that is ready to use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.jobs import Curve
from nas.training.checkpoint import CheckpointError, load
from search_space.architecture import Architecture
from search_space.lowering import lower
from search_space.network import Network, build


@dataclass(frozen=True, eq=False)
class Trained:
    """A network with the weights that its last validation was made with.

    Attributes:
        network: in evaluation mode, on the CPU, in float32.
        averaged: whether the weights are the training's moving average.
        curve: the learning curve that led to them.
    """

    network: Network
    averaged: bool
    curve: Curve


def read_trained(checkpoint: Path, architecture: Mapping[str, Any]) -> Trained:
    """The network of a checkpoint: its averaged weights where there are any, without running anything it may contain.

    Args:
        checkpoint: the file.
        architecture: JSON form of the architecture that it has to be of.

    Raises:
        CheckpointError: the file is absent or damaged, holds more than plain values and tensors, or is of another
            network.
    """
    found = load(checkpoint, {})
    if found.identity.get("architecture") is None or json.loads(found.identity["architecture"]) != dict(architecture):
        raise CheckpointError(f"a checkpoint must be of the network that is asked for, {checkpoint} is of another")
    network = build(lower(Architecture.from_json(architecture)))
    try:
        network.load_state_dict(found.network if found.average is None else found.average)
    except RuntimeError as error:
        raise CheckpointError(f"a checkpoint must fit its network, {checkpoint} does not: {error}") from error
    return Trained(network.eval(), found.average is not None, found.curve)
