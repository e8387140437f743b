"""Fixtures of trainings: a tiny learnable image set, a tiny network and a recording control."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nas.config.training import Recipe
from nas.jobs import Epoch, Job, Outcome
from nas.training.trial import train

CLASSES = 3


@dataclass
class TinyLoader:
    """Loader that shuffles and augments with a generator of (seed, epoch) alone."""

    images: Tensor
    labels: Tensor
    batch_size: int
    seed: int
    epoch: int = -1

    def __len__(self) -> int:
        return len(self.images) // self.batch_size

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(1000 * self.seed + self.epoch)
        order = torch.randperm(len(self.images), generator=generator)
        for batch in order[: len(self) * self.batch_size].split(self.batch_size):
            noise = torch.randn(self.images[batch].shape, generator=generator)
            yield self.images[batch] + 0.1 * noise, self.labels[batch]


@dataclass
class TinyData:
    """Images of 6 x 6 noise with one bright column a class."""

    seed: int = 0
    batch_size: int = 8
    classes: int = CLASSES
    class_weights: Tensor | None = None
    train_loader: TinyLoader = field(init=False)
    val_loader: list[tuple[Tensor, Tensor]] = field(init=False)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(7)
        labels = torch.arange(60) % CLASSES
        images = 0.5 * torch.randn(60, 1, 6, 6, generator=generator)
        images[torch.arange(60), 0, :, 2 * labels] += 1.5
        self.train_loader = TinyLoader(images[:36], labels[:36], self.batch_size, self.seed)
        self.val_loader = [(images[36:50], labels[36:50]), (images[50:], labels[50:])]


@dataclass
class Recorder:
    """Control that records the rows and requests a stop after an epoch."""

    stop_after: int | None = None
    rows: list[Epoch] = field(default_factory=list)

    @property
    def in_step(self) -> bool:
        """True if the rows decide about the stop."""
        return self.stop_after is not None

    def epoch_done(self, row: Epoch) -> None:
        self.rows.append(row)

    def should_stop(self) -> bool:
        return self.stop_after is not None and self.rows[-1].epoch >= self.stop_after


def tiny_network(seed: int = 0) -> nn.Module:
    """Convolution, batch normalisation, dropout and a linear layer."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(36, CLASSES),
    )


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def data() -> TinyData:
    return TinyData()


@pytest.fixture
def network() -> nn.Module:
    return tiny_network()


@pytest.fixture
def make_network() -> Callable[..., nn.Module]:
    return tiny_network


@pytest.fixture
def make_recorder() -> Callable[..., Recorder]:
    return Recorder


@pytest.fixture
def make_job(tmp_path: Path) -> Callable[..., Job]:
    def make(
        from_epoch: int = 0, to_epoch: int = 1, checkpoint: Path | None = None, folder: str = "trial", **changes: object
    ) -> Job:
        fields = {"trial": 0, "attempt": 1, "architecture": {"stages": [1, 2]}, "seed": 5} | changes
        return Job(from_epoch=from_epoch, to_epoch=to_epoch, folder=tmp_path / folder, checkpoint=checkpoint, **fields)

    return make


@pytest.fixture
def run_job() -> Callable[..., Outcome]:
    def run(job: Job, recipe: Recipe, network: nn.Module | None = None, control: Recorder | None = None) -> Outcome:
        network = network or tiny_network(job.seed)
        return train(network, TinyData(seed=job.seed), recipe, job, control or Recorder(), accelerator="cpu")

    return run
