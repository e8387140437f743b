"""Weights that every training of a recipe starts from: an export, a checkpoint of ours, or a published checkpoint.

Files are read without running code from them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import torch
from safetensors import SafetensorError
from torch import Tensor

from nas.config.training import Recipe
from nas.jobs.hashes import content_hash
from nas.training import checkpoint as checkpoints
from nas.training.checkpoint_file import CheckpointError
from nas.training.tensor_files import SUFFIXES, read_tensors
from nas.training.weights_error import StartingWeightsError
from search_space.documents import graph_of
from search_space.graph import Graph, Linear, Seq
from search_space.inheritance import Inherited, inherit
from search_space.network import build
from search_space.weights import WeightsError, published_weights


@final
@dataclass(frozen=True, eq=False)
class StartingWeights:
    """Trained network whose weights others start from.

    Attributes:
        graph: its graph.
        state: its state dict.
        classes: names of its classes in order; empty if the file does not name them.
        sha256: SHA-256 of the file's content.
    """

    graph: Graph
    state: Mapping[str, Tensor]
    classes: tuple[str, ...]
    sha256: str


def weights_of(recipe: Recipe) -> StartingWeights:
    """Return the weights that a recipe names.

    Raises:
        StartingWeightsError: the file can't be read, or has other content than `weights_sha256` says.
    """
    assert recipe.weights is not None
    path = Path(recipe.weights)
    try:
        found = _read(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise StartingWeightsError(f"training.weights must be a readable file, got {path}: {error.strerror}") from error
    except (WeightsError, CheckpointError, SafetensorError, ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:300]
        raise StartingWeightsError(
            f"training.weights must be weights that nas export wrote, a checkpoint of a training or a published "
            f"checkpoint, got {path}: {reason}"
        ) from error
    if recipe.weights_sha256 not in (None, found.sha256):
        raise StartingWeightsError(
            f"training.weights must have the SHA-256 {recipe.weights_sha256}, got {found.sha256} of {path}"
        )
    return found


def start_from(
    weights: StartingWeights, graph: Graph, fresh: Mapping[str, Tensor], classes: Sequence[str]
) -> Inherited:
    """Return the initial weights of a network: the file's where it continues that network, fresh ones elsewhere.

    The classifier is fresh unless both networks have the same classes in the same order.

    Args:
        weights: content of the file.
        graph: graph of the network to train.
        fresh: its state dict as built.
        classes: names of its classes.
    """
    parent = weights.graph if weights.classes == tuple(classes) else _headless(weights.graph)
    return inherit(parent, weights.state, graph, fresh)


def inherited_share(recipe: Recipe, document: Mapping[str, Any], classes: Sequence[str]) -> float:
    """Return the share of a network's parameters that begin as those of the recipe's file.

    Args:
        recipe: recipe that names a file of weights.
        document: JSON form of the network.
        classes: names of its classes.

    Raises:
        StartingWeightsError: as `weights_of` does.
    """
    graph = graph_of(document)
    return start_from(weights_of(recipe), graph, build(graph).state_dict(), classes).share


def _headless(graph: Graph) -> Graph:
    """Return a graph without its classifier."""
    root = graph.root
    if isinstance(root, Seq) and root.nodes and isinstance(root.nodes[-1], Linear):
        return Graph(Seq(root.nodes[:-1], name=root.name), graph.input)
    return graph


@lru_cache(maxsize=1)  # a process trains many networks from one file
def _read(path: Path, changed: int) -> StartingWeights:  # noqa: ARG001 - a changed file is read again
    """Return the content of a file.

    Raises:
        OSError, ValueError, SafetensorError: it can't be read, or is no such file.
    """
    if path.suffix not in (".pt", *SUFFIXES):
        raise StartingWeightsError(f"the name must end with {', '.join(SUFFIXES)} or .pt")
    content = path.read_bytes()
    sha256 = content_hash([content])
    if path.suffix == ".pt":
        found = checkpoints.load(path, {})
        architecture = json.loads(found.identity.get("architecture", "null"))
        state = found.state.network if found.state.average is None else found.state.average
        return _own(architecture, state, (), sha256)
    state, metadata = read_tensors(path)
    if "architecture" in metadata:
        classes = json.loads(metadata.get("classes", "[]"))
        named = tuple(classes) if isinstance(classes, list) and all(isinstance(one, str) for one in classes) else ()
        return _own(json.loads(metadata["architecture"]), state, named, sha256)
    graph, published = published_weights(state)
    return StartingWeights(graph, checked_state(graph, published), (), sha256)


def _own(architecture: Any, state: Mapping[str, Tensor], classes: tuple[str, ...], sha256: str) -> StartingWeights:
    graph = graph_of(architecture)
    return StartingWeights(graph, checked_state(graph, state), classes, sha256)


def checked_state(graph: Graph, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Return a state dict that fits a graph.

    Raises:
        WeightsError: it does not, or holds a value that is infinite or not a number.
    """
    with torch.device("meta"):
        expected = {name: tensor.shape for name, tensor in build(graph).state_dict().items()}
    found = {name: tensor.shape for name, tensor in state.items()}
    if expected != found:
        other = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
        raise WeightsError(f"its tensors are not those of its network at {other[0]}")
    for name, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()):
            raise WeightsError(f"its values must be finite, they are not at {name}")
    return state
