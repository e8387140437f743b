"""Trains a network as a search does, and looks at the test part after every epoch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
import torch

from nas.data import DataError, DataSpec, Part, load, load_test, plain_loader
from nas.data.loader import TensorLoader
from nas.evaluation.retrain.runner import measure
from nas.evaluation.trial_runner import TrialRunner, validation_batch
from nas.jobs import Control, Epoch, Failure, FailureKind, Job, Outcome
from nas.tabular.tabulate.task import Row, read_rows, write_rows
from nas.training.batches import Batch
from nas.training.checkpoint import CheckpointError, latest
from nas.training.restore import read_trained


@final
class Watch:
    """Processor seconds of this process since the last start."""

    def __init__(self) -> None:
        self._began = 0.0

    def start(self) -> None:
        """Begin anew."""
        self._began = time.process_time()

    def seconds(self) -> float:
        """Processor seconds since then."""
        return time.process_time() - self._began


@final
@dataclass(frozen=True, eq=False)
class WatchedLoader:
    """Training batches that start a watch where an epoch begins."""

    loader: TensorLoader
    watch: Watch

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.loader)

    def set_epoch(self, epoch: int) -> None:
        """Start the watch, and choose the epoch."""
        self.watch.start()
        self.loader.set_epoch(epoch)


@final
@dataclass(frozen=True, eq=False)
class WatchedData:
    """The loaders of one training."""

    train_loader: WatchedLoader
    val_loader: TensorLoader
    classes: int


@final
@dataclass(frozen=True, eq=False)
class Test:
    """What a network is measured on.

    Attributes:
        early: images of the test part, for every epoch but the last.
        last: images of the test part, for the last.
        epochs: the full horizon.
        device: where they are.
    """

    early: TensorLoader
    last: TensorLoader
    epochs: int
    device: str

    def accuracy(self, job: Job, epoch: int) -> float:
        """Accuracy with the weights of the checkpoint of that epoch, which is the newest.

        Raises:
            CheckpointError: there is none.
        """
        found = latest(job.folder)
        if found is None or found[1] != epoch:
            raise CheckpointError(f"epoch {epoch} must have its checkpoint in {job.folder}, it has not")
        network = read_trained(found[0], job.architecture).network.to(self.device)
        return float(measure(network, self.last if epoch == self.epochs else self.early)["test_accuracy"])


@dataclass(frozen=True)
class TableRunner:
    """Carries out the jobs of a table. No search may be handed it: it looks at the test part.

    Attributes:
        trial: trains as a search does.
        test_images: images of the test part to measure on after the last epoch, spread evenly over it, at least 1.
        early_test_images: the same after the epochs before.
    """

    trial: TrialRunner
    test_images: int
    early_test_images: int

    @property
    def images(self) -> DataSpec:
        """The images that it reads."""
        return self.trial.data

    def reading(self, folder: Path) -> TableRunner:
        """The same runner on a machine that keeps the decoded images in `folder`."""
        return replace(self, trial=self.trial.reading(folder))

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job`; its folder then has a row for every epoch trained so far."""
        torch.set_num_threads(self.trial.threads)
        kept = read_rows(job.folder) if job.from_epoch else []
        if len(kept) != job.from_epoch:
            law = f"a checkpoint of epoch {job.from_epoch} must have as many rows beside it, got {len(kept)}"
            return Outcome(job, (), None, Failure(FailureKind.CHECKPOINT, law))
        try:
            data, watch = self.trial.load(job.seed), Watch()
            measuring = Measuring(job, control, kept, self._test(), watch)
        except DataError as error:
            return Outcome(job, (), None, Failure(FailureKind.DATA, str(error)))
        watched = WatchedData(WatchedLoader(data.train_loader, watch), data.val_loader, data.classes)
        return self.trial.train_on(watched, job, measuring)

    def _test(self) -> Test:
        """What to measure on, normalised like the training part."""
        device = self.trial.device
        images, part = load(self.trial.data), load_test(self.trial.data)
        batch = validation_batch(images.shape, self.trial.recipe.batch_size, device)
        early, last = (
            plain_loader(images, batch, part=spread_over(part, count), device=device)
            for count in (self.early_test_images, self.test_images)
        )
        return Test(early, last, self.trial.recipe.epochs, device)


def spread_over(part: Part, count: int) -> Part:
    """`count` images of a part, spread evenly over its order; all of them where it has no more."""
    if count >= len(part):
        return part
    return part.take(np.arange(count) * len(part) // count)


@final
class Measuring:
    """Hears of each epoch before the driver does, measures the network on the test part and writes the row down."""

    def __init__(self, job: Job, control: Control, kept: list[Row], test: Test, watch: Watch) -> None:
        """Prepare.

        Args:
            job: the job.
            control: who hears of the epochs.
            kept: the rows of the epochs before this job.
            test: what to measure on.
            watch: started where each epoch begins.
        """
        self._job = job
        self._control = control
        self._rows = kept
        self._test = test
        self._watch = watch

    def epoch_done(self, row: Epoch) -> None:
        """Measure with the weights of the epoch's checkpoint, and write the row down before anybody hears of it."""
        cpu_seconds = self._watch.seconds()
        accuracy = self._test.accuracy(self._job, row.epoch)
        self._rows = [*self._rows, {**row.to_json(), "test_accuracy": accuracy, "cpu_seconds": cpu_seconds}]
        write_rows(self._job.folder, self._rows)
        self._control.epoch_done(row)

    def should_stop(self) -> bool:
        """Whether the driver has asked the job to end after its epoch."""
        return self._control.should_stop()
