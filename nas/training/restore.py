"""Restoring of a trained network from a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas.jobs import Curve
from nas.training.checkpoint import load
from nas.training.checkpoint_file import CheckpointError
from search_space.documents import graph_of
from search_space.network import Network, build


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """Network with the weights of its last validation, or with the last weights.

    Attributes:
        network: in evaluation mode, on the CPU, in float32.
        averaged: whether the weights are the exponential moving average of the training.
        curve: the learning curve.
    """

    network: Network
    averaged: bool
    curve: Curve


def restore_network(checkpoint: Path, architecture: Mapping[str, Any], *, averaged: bool = True) -> TrainedNetwork:
    """Read the network of a checkpoint, with the averaged weights if it has any, without running code from the file.

    Args:
        checkpoint: the file.
        architecture: JSON form of the expected architecture.
        averaged: False takes the last weights instead of the averaged ones.

    Raises:
        CheckpointError: the file is absent or damaged, holds more than plain values and tensors, or is of another
            architecture.
    """
    found = load(checkpoint, {})
    if not _is_of(found.identity.get("architecture"), architecture):
        raise CheckpointError(f"a checkpoint must be of the requested network, {checkpoint} is of another")
    state, network = found.state, build(graph_of(architecture))
    try:
        network.load_state_dict(state.average if averaged and state.average is not None else state.network)
    except RuntimeError as error:
        said = " ".join(str(error).split())[:300]
        raise CheckpointError(f"a checkpoint must fit its network, {checkpoint} does not: {said}") from error
    return TrainedNetwork(network.eval(), averaged and state.average is not None, found.curve)


def _is_of(stored: str | None, architecture: Mapping[str, Any]) -> bool:
    """Return whether the identity of a checkpoint is that of an architecture, which may be damaged."""
    try:
        return stored is not None and bool(json.loads(stored) == dict(architecture))
    except (ValueError, RecursionError):
        return False
