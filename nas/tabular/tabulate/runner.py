"""Runner of a table's jobs: trains a network as a search does, and tests it after every epoch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor

from nas.data import DataError, DataSpec, Part, evaluation_loader, load, load_test
from nas.data.loader import TensorLoader
from nas.evaluation.measurement import measure
from nas.evaluation.trial_runner import TrialRunner, validation_batch
from nas.jobs import Control, Epoch, Failure, FailureKind, Job, Outcome, controls_of
from nas.tabular.tabulate.task import Row, read_rows, write_rows
from nas.training.batches import Batch
from nas.training.checkpoint_file import CheckpointError
from nas.training.checkpoint_folder import latest
from nas.training.restore import restore_network


@final
class CpuTimer:
    """Timer of this process's processor seconds, shared out evenly over the members of a pack."""

    def __init__(self, members: int = 1) -> None:
        self._members = members
        self._began = 0.0
        self._stopped: float | None = None

    def start(self) -> None:
        """Start at zero."""
        self._began = time.process_time()
        self._stopped = None

    def seconds(self) -> float:
        """Return the processor seconds from the last start to the first call after it, for each member."""
        if self._stopped is None:
            self._stopped = time.process_time()
        return (self._stopped - self._began) / self._members


@final
@dataclass(frozen=True, eq=False)
class TimedLoader:
    """Training loader that starts a timer at the beginning of each epoch."""

    loader: TensorLoader
    timer: CpuTimer

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.loader)

    def set_epoch(self, epoch: int) -> None:
        """Start the timer and set the epoch of the loader."""
        self.timer.start()
        self.loader.set_epoch(epoch)


@final
@dataclass(frozen=True, eq=False)
class TimedData:
    """Loaders of one training, the first of them timed."""

    train_loader: TimedLoader
    val_loader: TensorLoader
    classes: int
    class_weights: Tensor | None


@final
@dataclass(frozen=True, eq=False)
class Evaluator:
    """Measurement of a network on images of the test part.

    Attributes:
        early: images for every epoch but the last.
        last: images for the last epoch.
        epochs: of a full training.
        device: of the images.
    """

    early: TensorLoader
    last: TensorLoader
    epochs: int
    device: str

    def accuracy(self, job: Job, epoch: int) -> float:
        """Return the accuracy with the weights of an epoch's checkpoint, which must be the newest.

        Raises:
            CheckpointError: it is not, or there is none.
        """
        found = latest(job.folder)
        if found is None or found[1] != epoch:
            raise CheckpointError(f"epoch {epoch} must have its checkpoint in {job.folder}, it has not")
        network = restore_network(found[0], job.architecture).network.to(self.device)
        return float(measure(network, self.last if epoch == self.epochs else self.early)["test_accuracy"])


@dataclass(frozen=True)
class TableRunner:
    """Runner of a table's jobs. No search may use it: it measures on the test part.

    Attributes:
        trial: runner of a search, which does the training.
        test_images: number of test images after the last epoch, evenly spaced over the part, at least 1.
        early_test_images: the same after earlier epochs.
    """

    trial: TrialRunner
    test_images: int
    early_test_images: int

    @property
    def images(self) -> DataSpec:
        """Specification of the training images."""
        return self.trial.data

    def with_images_in(self, folder: Path) -> TableRunner:
        """Return this runner for a machine that keeps the decoded images in `folder`."""
        return replace(self, trial=self.trial.with_images_in(folder))

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job` and write a row for every epoch into its folder, or into that of each job of its pack."""
        torch.set_num_threads(self.trial.threads)
        kept = [read_rows(member.folder)[: job.from_epoch] for member in job.members]
        if any(len(rows) < job.from_epoch for rows in kept):
            return _without_rows(job, kept)
        try:
            data, timer = self.trial.load([member.seed for member in job.members]), CpuTimer(len(job.members))
            evaluator = self._evaluator()
        except DataError as error:
            return Outcome.failing(job, Failure(FailureKind.DATA, str(error)))
        first = TimedData(
            TimedLoader(data[0].train_loader, timer), data[0].val_loader, data[0].classes, data[0].class_weights
        )
        measuring = [
            MeasuringControl(member, theirs, rows, evaluator, timer)
            for member, theirs, rows in zip(job.members, controls_of(job, control), kept, strict=True)
        ]
        return self.trial.train_on([first, *data[1:]], job, measuring)

    def _evaluator(self) -> Evaluator:
        """Return the test images, normalised like the training part."""
        device = self.trial.device
        images, part = load(self.trial.data), load_test(self.trial.data)
        batch = validation_batch(images.shape, self.trial.recipe.batch_size, device)
        early, last = (
            evaluation_loader(images, batch, part=take_evenly(part, count), device=device)
            for count in (self.early_test_images, self.test_images)
        )
        return Evaluator(early, last, self.trial.recipe.epochs, device)


def _without_rows(job: Job, kept: Sequence[Sequence[Row]]) -> Outcome:
    """Return the outcome of a job, or of the jobs of a pack, of which some have a checkpoint without all rows."""
    outcomes = []
    for member, rows in zip(job.members, kept, strict=True):
        failure = Failure(FailureKind.ERROR, "the checkpoints of all jobs of a pack must have their rows beside them")
        if len(rows) < job.from_epoch:
            law = f"a checkpoint of epoch {job.from_epoch} must have as many rows beside it, got {len(rows)}"
            failure = Failure(FailureKind.CHECKPOINT, law)
        outcomes.append(Outcome(member, (), None, failure))
    return replace(outcomes[0], job=job, pack=tuple(outcomes[1:]))


def take_evenly(part: Part, count: int) -> Part:
    """Return `count` images of a part, evenly spaced over its order; all of them if it has no more."""
    if count >= len(part):
        return part
    return part.take(np.arange(count) * len(part) // count)


@final
class MeasuringControl:
    """Control of a job that tests the network after each epoch, and writes the row before the driver sees the epoch."""

    in_step = True
    """The next epoch waits for the test, which would share its processor seconds."""

    def __init__(self, job: Job, control: Control, rows: list[Row], evaluator: Evaluator, timer: CpuTimer) -> None:
        """Wrap a control.

        Args:
            job: the job.
            control: called after the row is written.
            rows: of the epochs before this job.
            evaluator: holds the test images.
            timer: started at the beginning of each epoch.
        """
        self._job = job
        self._control = control
        self._rows = rows
        self._evaluator = evaluator
        self._timer = timer

    def epoch_done(self, row: Epoch) -> None:
        """Test with the weights of the epoch's checkpoint, write the row, and pass the epoch on."""
        cpu_seconds = self._timer.seconds()
        accuracy = self._evaluator.accuracy(self._job, row.epoch)
        self._rows = [*self._rows, {**row.to_json(), "test_accuracy": accuracy, "cpu_seconds": cpu_seconds}]
        write_rows(self._job.folder, self._rows)
        self._control.epoch_done(row)

    def should_stop(self) -> bool:
        """Return whether the driver has asked the job to end after its epoch."""
        return self._control.should_stop()
