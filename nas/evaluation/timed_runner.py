"""Runner that times a few steps and validation batches of a training in the calling process.

It trains as a search does, with the same loaders, module and checkpoints, but for two epochs that are cut short: the
first warms up, the second is timed.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import torch
from torch import Tensor

from nas.data.loader import TensorLoader, chunk_size
from nas.evaluation.timing import TIMED_EPOCHS, TIMING_FILE, Span, Timing
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Control, Job, Outcome, controls_of
from nas.jobs.files import write_json
from nas.training.batches import Batch
from nas.training.checkpoint_folder import latest
from nas.training.device import configure_gpu
from nas.training.ranks import Ranks

WARM_UP = 0.5
"""Time of the first epoch over that of the second."""
COUNTED_STEPS = 8
"""Steps of an epoch over several devices, whose processes must stop at the same step."""


@dataclass
class CutBatches:
    """Loader whose epochs end early, and are timed.

    Attributes:
        loader: the whole loader.
        seconds: seconds after which an epoch ends, at the end of a chunk of batches that are prepared together.
        chunk: batches of such a chunk.
        most: largest number of batches of an epoch, None for all of them.
        epochs: epochs of the whole schedule, of which the last ones are timed: images have their full side there.
        spans: timed epochs.
        began: clock at which the first batch was requested.
    """

    loader: TensorLoader
    seconds: float
    chunk: int
    most: int | None
    epochs: int
    spans: list[Span] = field(default_factory=list)
    began: float | None = None

    def __len__(self) -> int:
        return len(self.loader)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, 0-based, whose batches the next iteration yields."""
        self.loader.set_epoch(max(epoch, self.epochs - TIMED_EPOCHS + epoch))

    def __iter__(self) -> Iterator[Batch]:
        self.began = self.began or time.time()
        share = 1.0 if self.spans else WARM_UP
        start, count = time.perf_counter(), 0
        batches = iter(self.loader)
        while not self._ends(count, start, self.seconds * share) and (batch := next(batches, None)) is not None:
            yield batch
            count += 1
        synchronize()
        self.spans.append(Span(max(1, count), time.perf_counter() - start))

    def _ends(self, count: int, start: float, seconds: float) -> bool:
        if self.most is not None:
            return count >= self.most
        if count == 0 or count % self.chunk:
            return False
        synchronize()
        return time.perf_counter() - start > seconds


def synchronize() -> None:
    """Wait until the GPU has done what was asked of it."""
    if _has_gpu():
        torch.cuda.synchronize()


def _has_gpu() -> bool:
    """Return whether this process trains on a GPU, where `torch.cuda` has been initialised."""
    return torch.cuda.is_available() and bool(cast(Any, torch.cuda).is_initialized())


@dataclass(frozen=True)
class CutData:
    """Loaders of one timed training, which take the place of `TrialData`.

    Attributes:
        train_loader: batches to train on.
        val_loader: batches to validate on.
        classes: number of classes.
        class_weights: weights of the classes in the training loss (classes,), None for none.
    """

    train_loader: CutBatches
    val_loader: CutBatches
    classes: int
    class_weights: Tensor | None


@dataclass(frozen=True)
class TimedRunner:
    """Runner that trains for two short epochs and writes what they took to the folder of the job.

    Attributes:
        trial: runner of a search's jobs.
        seconds: seconds of the timed epoch's steps; its validation has half of them.
        shape: (C, H, W) of an image.
    """

    trial: TrialRunner
    seconds: float
    shape: tuple[int, int, int]

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job`, whose last epoch is the second; its curve is of epochs that were cut short."""
        torch.set_num_threads(self.trial.threads)
        if self.trial.device == "cuda":
            configure_gpu(deterministic=self.trial.deterministic)
        (whole,) = self.trial.load([job.seed], job.micro_batches)
        ranks, recipe = Ranks.current(), self.trial.recipe
        chunk = max(1, chunk_size(self.shape, recipe.batch_size) // recipe.batch_size)
        most = COUNTED_STEPS if ranks.count > 1 else None
        data = CutData(
            CutBatches(whole.train_loader, self.seconds, chunk, most, recipe.epochs),
            CutBatches(whole.val_loader, self.seconds / 2, 1, most, 0),
            whole.classes,
            whole.class_weights,
        )
        outcome = self.trial.train_on([data], job, controls_of(job, control))
        if ranks.first and outcome.failure is None:
            write_json(job.folder / TIMING_FILE, asdict(_timing(data, outcome)))
        return outcome


def _timing(data: CutData, outcome: Outcome) -> Timing:
    newest = latest(outcome.job.folder)
    return Timing(
        began=data.train_loader.began or time.time(),
        train_batches=len(data.train_loader),
        val_batches=len(data.val_loader),
        train=tuple(data.train_loader.spans),
        validation=tuple(data.val_loader.spans),
        epoch_seconds=tuple(row.seconds for row in outcome.curve),
        checkpoint_bytes=newest[0].stat().st_size if newest else 0,
        process_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        gpu_bytes=torch.cuda.max_memory_allocated() if _has_gpu() else 0,
    )
