"""Pruner of a trained network: to a sparsity or to a loss of accuracy, with a training after it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas.config.pruning import BRANCHES, GLOBAL, LAYER, TWO_OF_FOUR, PruningSpec
from nas.data import DataSpec, ImageData, evaluation_loader, load
from nas.evaluation.measurement import predict
from nas.exports.deployed import Deployed
from nas.exports.format import ExportError
from nas.training.restore import TrainedNetwork
from search_space.cost import cost
from search_space.documents import graph_of, pruned_document
from search_space.network import Network, build
from search_space.pruned_weights import magnitude_pruned, prune_channels, smaller_state, two_of_four, zero_share
from search_space.pruning import PruningError

BATCH = 256
GRID = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
"""Sparsities of which the largest within a loss of accuracy is taken."""

State = Mapping[str, Tensor]

log = logging.getLogger(__name__)


class Tune(Protocol):
    """Training after a removal."""

    def __call__(self, document: Mapping[str, Any], state: State, classes: tuple[str, ...]) -> State:
        """Return the weights of a network, trained from `state` on; zeros have stayed zero.

        Args:
            document: JSON form of the network.
            state: its weights.
            classes: names of its classes.
        """
        ...


@dataclass(frozen=True, eq=False)
class PrunedNetwork:
    """Network after a removal.

    Attributes:
        document: its JSON form, that of the network before unless channels are gone.
        network: in evaluation mode, on the CPU.
        facts: JSON values for `checks.json`: structure, sparsity (share of zeros, or of the parameters that are gone),
            epochs, `val_accuracy` and `dense_val_accuracy` on `val_images`.
    """

    document: Mapping[str, Any]
    network: Network
    facts: Mapping[str, Any]

    @property
    def trained(self) -> TrainedNetwork:
        """The network as a trained one."""
        return TrainedNetwork(self.network, averaged=False, curve=())

    def logits(self, pixels: NDArray[np.uint8], preprocessing: Mapping[str, Any]) -> NDArray[np.float32]:
        """Return logits (N, classes) for pixels (N, C, H, W)."""
        channels, height, width = pixels.shape[1:]
        module = Deployed(self.network, preprocessing, (channels, height, width))
        with torch.inference_mode():
            parts = [module(torch.from_numpy(pixels[at : at + BATCH])) for at in range(0, len(pixels), BATCH)]
        logits: NDArray[np.float32] = torch.cat(parts).numpy()
        return logits


@dataclass(frozen=True, eq=False)
class Pruner:
    """Pruner of the networks of a study.

    Attributes:
        spec: what to remove, and the training after it.
        tune: that training for a trial's number; unused without epochs.
    """

    spec: PruningSpec
    tune: Callable[[int], Tune]

    def __call__(
        self, trial: int, document: Mapping[str, Any], trained: TrainedNetwork, data: DataSpec
    ) -> PrunedNetwork:
        """Prune a network.

        Args:
            trial: the trial's number.
            document: JSON form of its architecture.
            trained: the network.
            data: the study's images; the validation part is read whole.

        Raises:
            ExportError: no sparsity that is tried keeps the accuracy.
            PruningError: so much can't be removed.
        """
        images = load(replace(data, streaming="always"))
        dense, count = _accuracy(trained.network, images)
        case = _Case(self.spec, self.tune(trial), document, trained, images)
        found = (
            case.at(self.spec.share, dense) if self.spec.max_loss is None else case.within(self.spec.max_loss, dense)
        )
        log.info(
            "trial %d: %.1f %% %s, validation accuracy %.4f for %.4f on %s images",
            trial,
            100 * found.facts["sparsity"],
            "smaller" if self.spec.smaller else "zeros",
            found.facts["val_accuracy"],
            dense,
            f"{count:,}",
        )
        return found


@dataclass(frozen=True, eq=False)
class _Case:
    """Pruning of one network."""

    spec: PruningSpec
    tune: Tune
    document: Mapping[str, Any]
    trained: TrainedNetwork
    images: ImageData

    def at(self, sparsity: float, dense: float) -> PrunedNetwork:
        """Return the network after the removal of a share and the training."""
        graph, state = graph_of(self.document), self.trained.network.state_dict()
        document, kept = self.document, dict(state)
        if self.spec.smaller:
            pruned = prune_channels(graph, state, sparsity, branches=self.spec.structure == BRANCHES)
            document, kept = pruned_document(self.document, pruned), smaller_state(graph, state, pruned)
        elif self.spec.structure == TWO_OF_FOUR:
            kept = two_of_four(state)
        else:
            assert self.spec.structure in (GLOBAL, LAYER)
            kept = magnitude_pruned(state, sparsity, per_layer=self.spec.structure == LAYER)
        if self.spec.epochs:
            kept = dict(self.tune(document, kept, tuple(self.images.classes)))
        after = graph_of(document)
        network = build(after)
        network.load_state_dict(kept)
        accuracy, count = _accuracy(network.eval(), self.images)
        gone = 1 - cost(after).params / cost(graph).params if self.spec.smaller else zero_share(kept)
        facts = {
            "structure": self.spec.structure,
            "sparsity": gone,
            "epochs": self.spec.epochs,
            "val_accuracy": accuracy,
            "dense_val_accuracy": dense,
            "val_images": count,
            "zeros": round(zero_share(kept), 6),
        }
        if self.spec.structure == TWO_OF_FOUR:
            facts["speed"] = semi_structured_speed()
        return PrunedNetwork(document, network, facts)

    def within(self, loss: float, dense: float) -> PrunedNetwork:
        """Return the network at the largest sparsity that loses at most `loss`, by bisection."""
        grid = [self.spec.share] if self.spec.structure == TWO_OF_FOUR else list(GRID)
        low, high, best = 0, len(grid), None
        while low < high:
            middle = (low + high) // 2
            found = self._tried(grid[middle], dense)
            if found is not None and dense - found.facts["val_accuracy"] <= loss:
                best, low = found, middle + 1
            else:
                high = middle
        if best is None:
            raise ExportError(
                f"sparse.max_loss must be kept by a sparsity of {', '.join(map(str, grid))}, none loses at most {loss}"
            )
        return best

    def _tried(self, sparsity: float, dense: float) -> PrunedNetwork | None:
        """Return the network at a sparsity, None if so much can't be removed; log the loss."""
        try:
            found = self.at(sparsity, dense)
        except PruningError as error:
            log.info("sparsity %.2f: %s", sparsity, error)
            return None
        accuracy = found.facts["val_accuracy"]
        log.info("sparsity %.2f: validation accuracy %.4f, %.4f lost", sparsity, accuracy, dense - accuracy)
        return found


def _accuracy(network: Network, images: ImageData) -> tuple[float, int]:
    """Return the accuracy of a network on the validation part, and the number of its images."""
    logits, labels = predict(network, evaluation_loader(images, BATCH))
    return float((logits.argmax(dim=1) == labels).double().mean()), len(labels)


def semi_structured_speed() -> str:
    """Return whether the device multiplies by 2:4 sparse matrices, for `checks.json`."""
    if not torch.cuda.is_available():
        return "not shown: 2:4 is faster on CUDA devices of compute capability 8.0 or more alone, there is none here"
    major, minor = torch.cuda.get_device_capability()
    if major < 8:
        return f"not shown: 2:4 takes a CUDA device of compute capability 8.0 or more, this one has {major}.{minor}"
    return "benchmarks/sparse_speed.py measures it: torch.sparse.to_sparse_semi_structured takes 16-bit matrices"
