"""Runners that train tiny networks over any number of ranks; worker processes import this module by name."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn, randn
from toy_runners import ACTIONS, toy_row

from nas.config.training import Recipe
from nas.jobs import Control, Epoch, Failure, Job, Outcome
from nas.training.ranks import Ranks
from nas.training.trial import train
from nas.workers.local.process_group import join_process_group

CLASSES = 3


@dataclass
class ShortLoader:
    """Loader that shuffles and augments by (seed, epoch); the last batch may be smaller."""

    images: Tensor
    labels: Tensor
    batch_size: int
    seed: int
    epoch: int = -1

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(1000 * self.seed + self.epoch)
        order = torch.randperm(len(self.images), generator=generator)
        for batch in order.split(self.batch_size):
            noise = torch.randn(self.images[batch].shape, generator=generator)
            yield self.images[batch] + 0.1 * noise, self.labels[batch]


@dataclass
class ColumnData:
    """Each class lights another column of a 6 x 6 image, in noise: 39 images to train on, 24 + 1 to validate."""

    seed: int
    batch_size: int
    classes: int = CLASSES
    class_weights: Tensor | None = None
    train_loader: ShortLoader = field(init=False)
    val_loader: list[tuple[Tensor, Tensor]] = field(init=False)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(7)
        labels = torch.arange(64) % CLASSES
        images = 0.5 * randn(64, 1, 6, 6, generator=generator)
        images[torch.arange(64), 0, :, 2 * labels] += 1.5
        self.train_loader = ShortLoader(images[:39], labels[:39], self.batch_size, self.seed)
        self.val_loader = [(images[39:63], labels[39:63]), (images[63:], labels[63:])]


def network(norm: bool, dropout: float) -> nn.Module:
    # In front of a batch norm a bias has no gradient but rounding, which AdamW would blow up to whole steps.
    first = nn.Conv2d(1, 4, 3, padding=1, bias=not norm)
    middle = [nn.BatchNorm2d(4)] if norm else []
    end = [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(first, *middle, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), *end, nn.Linear(36, CLASSES))


@dataclass(frozen=True)
class ColumnRunner:
    """Runner that trains the network given by `norm` and `dropout` in the architecture."""

    recipe: Recipe

    def __call__(self, job: Job, control: Control) -> Outcome:
        torch.set_num_threads(1)
        torch.manual_seed(job.seed)
        built = network(bool(job.architecture["norm"]), float(job.architecture["dropout"]))
        return train(built, ColumnData(job.seed, self.recipe.batch_size), self.recipe, job, control, "cpu")


@dataclass
class RankControl:
    """Control that stops the job after the epoch `stop_after`; only rank zero may report epochs to it."""

    index: int
    stop_after: int | None
    asked: int = 0

    def epoch_done(self, row: Epoch) -> None:
        assert self.index == 0

    def should_stop(self) -> bool:
        self.asked += 1
        return self.asked == self.stop_after


def run_rank(runner: ColumnRunner, job: Job, index: int, meeting: Path, stop_after: int | None) -> Outcome:
    """Run one rank of a job in a process of its own; the last rank is asked to stop."""
    join_process_group(index, job.devices, meeting)
    return runner(job, RankControl(index, stop_after if index == job.devices - 1 else None))


@dataclass(frozen=True)
class ToyRanks:
    """Runner whose ranks add numbers instead of gradients; `rank` in the architecture acts in epoch `at`."""

    def __call__(self, job: Job, control: Control) -> Outcome:
        ranks = Ranks.current()
        assert ranks.count == job.devices
        print(f"rank {ranks.index} of {ranks.count} sees {os.environ.get('CUDA_VISIBLE_DEVICES')}", flush=True)
        print("listens", *listening(), flush=True)
        rows: list[Epoch] = []
        for epoch in range(1, job.to_epoch + 1):
            if (ranks.index, epoch) == (job.architecture.get("rank"), job.architecture.get("at")):
                if job.architecture["does"] == "run_out":
                    return Outcome(job, tuple(rows), None, Failure("out_of_memory", "no memory for rank 1"))
                ACTIONS[job.architecture["does"]](job)
            time.sleep(float(job.architecture.get("pause", 0)))
            rows.append(toy_row(epoch))
            assert ranks.total(torch.ones(())).item() == ranks.count
            if ranks.first:
                control.epoch_done(rows[-1])
            if ranks.any(control.should_stop(), torch.device("cpu")):
                break
        return Outcome(job, tuple(rows), None)


def listening() -> list[str]:
    """Return the hexadecimal addresses at which this process listens."""
    links = [os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    tables = [Path(f"/proc/self/net/{name}").read_text() for name in ("tcp", "tcp6")]
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return [row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in links]
