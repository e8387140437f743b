"""One job of one trial: from a network and a checkpoint to a learning curve and the next checkpoint."""

from __future__ import annotations

import hashlib
import logging
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import nn

from nas.jobs import Control, Curve, Epoch, Job, Outcome
from nas.training import checkpoint as checkpoints
from nas.training.batches import Batch, ImageData, TrainLoader, ValLoader
from nas.training.checkpoint import Checkpoint, CheckpointError
from nas.training.failures import failure_of
from nas.training.module import Classifier, Horizon
from nas.training.recipe import Recipe

# Lightning announces devices and advertises at every fit. Its import sets this level, so it is set here, after it.
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


def train(
    network: nn.Module, data: ImageData, recipe: Recipe, job: Job, control: Control, accelerator: str = "auto"
) -> Outcome:
    """Train `network` as `job` says, and return what came of it.

    Training to epoch a, stopping and going on to epoch b ends, on a CPU, bit for bit like an unbroken run to b: the
    learning rate is a function of the step in the full horizon; optimizer, average and batch-norm statistics come from
    the checkpoint; and torch's generator is seeded from the job's seed and the epoch's number where an epoch starts.
    Nothing a training does raises: what goes wrong is the outcome's `failure` (the traceback goes to standard error).
    KeyboardInterrupt and SystemExit pass.

    Args:
        network: maps images (B, C, H, W) to logits (B, classes); in training mode it may give
            `(logits, [(auxiliary logits, weight), ...])`. Build it right after `torch.manual_seed(job.seed)`: its
            initial weights are this trial's. It is trained in place.
        data: the loaders of this trial.
        recipe: how to train; its `epochs` is the full horizon, at least `job.to_epoch`.
        job: from where to where. With `from_epoch == to_epoch` the checkpoint is only read.
        control: told of each epoch when its checkpoint is on disk, then asked whether to stop.
        accelerator: Lightning's name of the kind of device, such as `cpu` or `cuda`; `auto` takes the best there is.

    Returns:
        The whole curve so far, the newest complete checkpoint and the failure, if there was one.
    """
    trial = _Trial(job, control)
    try:
        trial.run(network, data, recipe, accelerator)
    except Exception as error:  # a failed training is an outcome, and its kind tells the search what to do
        traceback.print_exc()
        return Outcome(job, trial.curve, trial.checkpoint, failure_of(error))
    return Outcome(job, trial.curve, trial.checkpoint)


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of all that torch draws in epoch `epoch` (0-based) of the trial seeded by `seed`, below 2**63."""
    digest = hashlib.sha256(f"{seed}/{epoch}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class _Trial:
    """What a job has come to so far; it outlives a failure."""

    def __init__(self, job: Job, control: Control) -> None:
        self.job = job
        self.control = control
        self.curve: Curve = ()
        self.checkpoint: Path | None = None

    def run(self, network: nn.Module, data: ImageData, recipe: Recipe, accelerator: str) -> None:
        job = self.job
        if job.to_epoch > recipe.epochs:
            raise ValueError(f"a job must end within the recipe's {recipe.epochs} epochs, got to_epoch {job.to_epoch}")
        horizon = Horizon(job.from_epoch, len(data.train_loader), recipe.epochs, job.micro_batches)
        identity = checkpoints.identity(job, recipe, horizon.steps_per_epoch)
        start = None if job.checkpoint is None else checkpoints.load(job.checkpoint, identity)
        if start is not None:
            self._take_up(start)
        if job.from_epoch == job.to_epoch:
            return
        classifier = Classifier(network, data.classes, recipe, horizon)
        trainer = _trainer(recipe, job, accelerator, _EpochEnds(self, identity))
        if start is not None:
            _restore(start, classifier, trainer)
        with warnings.catch_warnings():
            # Lightning 2.6 asks torch's tree specs for their kind in a way that torch 2.13 calls outdated.
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            trainer.fit(classifier, _SeededEpochs(data.train_loader, job), _Batches(data.val_loader))

    def _take_up(self, start: Checkpoint) -> None:
        if start.epoch != self.job.from_epoch:
            raise CheckpointError(
                f"a checkpoint must end at the job's from_epoch {self.job.from_epoch}, "
                f"got epoch {start.epoch} in {self.job.checkpoint}"
            )
        self.curve = start.curve
        self.checkpoint = self.job.checkpoint


def _trainer(recipe: Recipe, job: Job, accelerator: str, epoch_ends: pl.Callback) -> pl.Trainer:
    """A Trainer without all that a trial has no use for; it counts only this job's own epochs."""
    return pl.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=cast(Any, recipe.precision),
        max_epochs=job.to_epoch - job.from_epoch,
        gradient_clip_val=recipe.gradient_clip,
        accumulate_grad_batches=job.micro_batches,
        callbacks=[epoch_ends],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=job.folder,
    )


def _restore(start: Checkpoint, classifier: Classifier, trainer: pl.Trainer) -> None:
    try:
        classifier.network.load_state_dict(start.network)
        if classifier.average is not None:
            classifier.average.module.load_state_dict(start.average or {})
    except RuntimeError as error:
        raise CheckpointError(f"a checkpoint must fit the network that goes on: {error}") from error
    classifier.optimizer_state = start.optimizer
    trainer.precision_plugin.load_state_dict(start.precision)


class _SeededEpochs:
    """The training batches, with everything random about an epoch set where its first batch is asked for."""

    def __init__(self, loader: TrainLoader, job: Job) -> None:
        self._loader = loader
        self._parts = job.micro_batches
        self._seed = job.seed
        self._epoch = job.from_epoch

    def __len__(self) -> int:
        return len(self._loader) * self._parts

    def __iter__(self) -> Iterator[Batch]:
        # Lightning asks for the first epoch's iterator before the training starts. As a generator, this one does
        # nothing until the first batch is wanted, so that the first epoch of a job is like any other.
        torch.manual_seed(epoch_seed(self._seed, self._epoch))
        self._loader.set_epoch(self._epoch)
        self._epoch += 1
        for images, labels in self._loader:
            yield from zip(images.tensor_split(self._parts), labels.tensor_split(self._parts), strict=True)


class _Batches:
    """Validation batches as one loader: Lightning would take a list of batches for several loaders."""

    def __init__(self, loader: ValLoader) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._loader)


class _EpochEnds(pl.Callback):
    """Turns each epoch's end into a row, a checkpoint and a word to the control."""

    def __init__(self, trial: _Trial, identity: dict[str, str]) -> None:
        self._trial = trial
        self._identity = identity
        self._began = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        self._began = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        trial = self._trial
        scores = pl_module.scores()
        row = Epoch(
            epoch=len(trial.curve) + 1,
            train_loss=scores.train_loss,
            val_loss=scores.val_loss,
            val_accuracy=scores.val_accuracy,
            val_balanced_accuracy=scores.val_balanced_accuracy,
            seconds=time.perf_counter() - self._began,
        )
        state = Checkpoint(
            identity=self._identity,
            network=pl_module.network.state_dict(),
            optimizer=trainer.optimizers[0].state_dict()["state"],
            average=None if pl_module.average is None else pl_module.average.module.state_dict(),
            precision=trainer.precision_plugin.state_dict(),
            curve=(*trial.curve, row),
        )
        trial.checkpoint = checkpoints.save(state, trial.job.folder, trial.job.attempt)
        trial.curve = state.curve
        trial.control.epoch_done(row)
        if trial.control.should_stop():
            trainer.should_stop = True
