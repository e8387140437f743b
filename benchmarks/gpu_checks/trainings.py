"""Networks, images and trainings of the checks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from gpu_checks.base import Skipped
from nas.config.data import DataSpec
from nas.config.training import Recipe
from nas.data import ImageData, evaluation_loader, from_tensors, load, make_augmentation, train_loader
from nas.evaluation.trial_runner import TrialData
from nas.jobs import Epoch, FailureKind, Job, Outcome
from nas.training.trial import Member, train, train_pack
from search_space.cost import cost
from search_space.graph import Concat, Conv, Dropout, GlobalPool, Graph, Linear, Node, Norm, Pool, Seq, Shape
from search_space.network import Network, build

DIGITS = DataSpec()
RECIPE = Recipe(epochs=3, batch_size=64, learning_rate=0.05)
CLASSES = 10


@dataclass
class Noted:
    """Control that never stops a training."""

    rows: list[Epoch] = field(default_factory=list)

    def epoch_done(self, row: Epoch) -> None:
        """Note an epoch."""
        self.rows.append(row)

    def should_stop(self) -> bool:
        """Return whether to stop."""
        return False


def inception(image: Shape, width: int, blocks: int = 2, *, norm: bool = True, dropout: float = 0.0) -> Graph:
    """Return an Inception network: a stem, blocks of four branches with `width` channels each, and a linear layer."""
    kind = Norm("batch") if norm else None

    def conv(channels: int, size: int) -> Node:
        return Conv(channels, (size, size), padding=(size // 2, size // 2), bias=not norm, norm=kind, activation="relu")

    def block() -> Node:
        pool = Pool("max", (3, 3), (1, 1), (1, 1))
        branches = (
            conv(width, 1),
            Seq((conv(width, 1), conv(width, 3))),
            Seq((conv(width, 1), conv(width, 5))),
            Seq((pool, conv(width, 1))),
        )
        return Concat(branches)

    half = Pool("max", (2, 2), (2, 2))
    stages = [node for index in range(blocks) for node in ((half, block()) if index else (block(),))]
    end = (GlobalPool(), *((Dropout(dropout),) if dropout else ()), Linear(CLASSES))
    return Graph(Seq((conv(4 * width, 3), *stages, *end)), image)


def params(graph: Graph) -> int:
    """Return the number of parameters."""
    return int(cost(graph).params)


def network_of(graph: Graph, seed: int = 0) -> Network:
    """Return the network of a graph with the initial weights of a seed."""
    torch.manual_seed(seed)
    return build(graph)


def digits() -> ImageData:
    """Return the embedded digits."""
    return load(DIGITS)


def patterned(images: int, size: int = 32, channels: int = 3) -> ImageData:
    """Return images in which each class lights another row, in noise."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(images) % CLASSES
    pixels = torch.randint(0, 128, (images, channels, size, size), dtype=torch.uint8, generator=generator)
    pixels[torch.arange(images), :, labels * size // CLASSES] += 100
    return from_tensors(pixels, labels, tuple(map(str, range(CLASSES))))


def loaders(images: ImageData, recipe: Recipe, device: str, seed: int = 0) -> TrialData:
    """Return loaders on a device, with the augmentation that the recipe names alone."""
    plain = make_augmentation(DataSpec(crop_padding=0), recipe, images.shape, CLASSES)
    return TrialData(
        train_loader(images, plain, recipe.batch_size, seed=seed, device=device),
        evaluation_loader(images, 256, device=device),
        CLASSES,
    )


@dataclass(frozen=True)
class Training:
    """Training of a network on images.

    Attributes:
        graph: the network.
        images: the images.
        recipe: the recipe.
        device: by Lightning's name.
        folder: of its checkpoints.
        seed: of weights and batches.
        parts: micro-batches of a batch on each device.
        devices: processes that call `run`, of one process group.
    """

    graph: Graph
    images: ImageData
    recipe: Recipe
    device: str
    folder: Path
    seed: int = 0
    parts: int = 1
    devices: int = 1

    def job(self, since: int = 0, until: int | None = None, checkpoint: Path | None = None) -> Job:
        """Return the job of some of its epochs."""
        until = self.recipe.epochs if until is None else until
        attempt = 1 + since
        return Job(0, attempt, {}, self.seed, since, until, self.folder, checkpoint, self.parts, self.devices)

    def run(self, job: Job | None = None, data: TrialData | None = None) -> Outcome:
        """Train, and return the outcome, which may be a failure."""
        data = data or loaders(self.images, self.recipe, self.device, self.seed)
        network = network_of(self.graph, self.seed)
        return train(network, data, self.recipe, job or self.job(), Noted(), self.device)


def together(trainings: Sequence[Training]) -> tuple[Outcome, ...]:
    """Train networks of one graph as a pack."""
    first = trainings[0]
    members = [
        Member(
            network_of(each.graph, each.seed),
            loaders(each.images, each.recipe, each.device, each.seed),
            each.job(),
            Noted(),
        )
        for each in trainings
    ]
    return train_pack(members, first.recipe, first.device)


def curve(outcome: Outcome) -> list[tuple[float, float, float]]:
    """Return training loss, validation loss and accuracy of each epoch.

    Raises:
        Skipped: the device has too little memory.
        RuntimeError: the training failed.
    """
    if outcome.failure is not None and outcome.failure.kind == FailureKind.OUT_OF_MEMORY:
        raise Skipped(f"the memory is too small: {outcome.failure.message}")
    if outcome.failure is not None:
        raise RuntimeError(f"a training failed: {outcome.failure.kind}, {outcome.failure.message}")
    return [(row.train_loss, _measured(row.val_loss), _measured(row.val_accuracy)) for row in outcome.curve]


def _measured(score: float | None) -> float:
    assert score is not None  # every epoch is validated
    return score


def difference(one: Outcome, other: Outcome) -> dict[str, float]:
    """Return the largest differences of losses and of accuracies over the epochs."""
    pairs = list(zip(curve(one), curve(other), strict=True))
    return {
        "loss": max(abs(a - b) for left, right in pairs for a, b in zip(left[:2], right[:2], strict=True)),
        "accuracy": max(abs(left[2] - right[2]) for left, right in pairs),
    }


def exact_float32() -> None:
    """Switch off what makes equal trainings differ: reduced precision of 32-bit products, and sums in any order."""
    torch.backends.cudnn.deterministic = True
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"


def synchronize(device: str) -> None:
    """Wait until the device has done its work."""
    if device == "cuda":
        torch.cuda.synchronize()
