"""One job of one trial: from a network and a checkpoint to a learning curve and the next checkpoint."""

from __future__ import annotations

import logging
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
from torch import nn

from nas.config.training import Recipe
from nas.jobs import Control, Curve, Epoch, Job, Outcome
from nas.training import checkpoint as checkpoints
from nas.training.batches import ImageData
from nas.training.checkpoint import Checkpoint, CheckpointError
from nas.training.epochs import SeededEpochs, ValidationShare
from nas.training.failures import failure_of
from nas.training.module import Classifier, Horizon
from nas.training.ranks import Ranks

# Lightning announces devices and advertises at every fit. Its import sets this level, so it is set here, after it.
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


def train(
    network: nn.Module, data: ImageData, recipe: Recipe, job: Job, control: Control, accelerator: str = "auto"
) -> Outcome:
    """Train `network` as `job` says, and return what came of it.

    Training to epoch a, stopping and going on to epoch b ends, on a CPU, bit for bit like an unbroken run to b: the
    learning rate is a function of the step in the full horizon; optimizer, average and batch-norm statistics come from
    the checkpoint; and torch's generator is seeded from the job's seed and the epoch's number where an epoch starts.
    With a parent, `network` has its weights, and the training is the last part of the schedule.
    Where this process has a torch process group, it trains together with the others of it: every rank calls this with
    the same job and data, which work on their shares of each batch; rank 0 alone writes checkpoints and tells the
    control of epochs, and all stop at the end of an epoch in which any of their controls wants it.
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


class _Trial:
    """What a job has come to so far; it outlives a failure."""

    def __init__(self, job: Job, control: Control) -> None:
        self.job = job
        self.control = control
        self.curve: Curve = ()
        self.checkpoint: Path | None = None
        self.ranks = Ranks.here()

    def run(self, network: nn.Module, data: ImageData, recipe: Recipe, accelerator: str) -> None:
        job = self.job
        left = recipe.epochs - job.skips
        if job.to_epoch > left:
            raise ValueError(f"a job must end within the recipe's {left} epochs, got to_epoch {job.to_epoch}")
        if job.devices != self.ranks.count:
            raise ValueError(f"a job over {job.devices} devices must have as many processes, got {self.ranks.count}")
        horizon = Horizon(job.skips + job.from_epoch, len(data.train_loader), recipe.epochs, job.micro_batches)
        identity = checkpoints.identity(job, recipe, horizon.steps_per_epoch)
        start = None if job.checkpoint is None else checkpoints.load(job.checkpoint, identity)
        if start is not None:
            self._take_up(start)
        if job.from_epoch == job.to_epoch:
            return
        classifier = Classifier(network, data.classes, recipe, horizon, self.ranks)
        trainer = _trainer(recipe, job, accelerator, _EpochEnds(self, identity), self.ranks)
        if start is not None:
            _restore(start, classifier, trainer)
        with warnings.catch_warnings():
            # Lightning 2.6 asks torch's tree specs for their kind in a way that torch 2.13 calls outdated.
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            # torch 2.13 has another name for this option of DDP, which torch 2.6 doesn't know.
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
            trainer.fit(
                classifier,
                SeededEpochs(data.train_loader, job.seed, horizon.first_epoch, job.micro_batches, self.ranks),
                ValidationShare(data.val_loader, self.ranks),
            )

    def _take_up(self, start: Checkpoint) -> None:
        if start.epoch != self.job.from_epoch:
            raise CheckpointError(
                f"a checkpoint must end at the job's from_epoch {self.job.from_epoch}, "
                f"got epoch {start.epoch} in {self.job.checkpoint}"
            )
        self.curve = start.curve
        self.checkpoint = self.job.checkpoint


def _trainer(recipe: Recipe, job: Job, accelerator: str, epoch_ends: pl.Callback, ranks: Ranks) -> pl.Trainer:
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
        **ranks.trainer_options(),
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
        if trial.ranks.first:
            self._save(trainer, pl_module, row)
        trial.curve = (*trial.curve, row)
        if trial.ranks.first:
            trial.control.epoch_done(row)
        if trial.ranks.any(trial.control.should_stop(), pl_module.device):
            trainer.should_stop = True

    def _save(self, trainer: pl.Trainer, classifier: Classifier, row: Epoch) -> None:
        trial = self._trial
        state = Checkpoint(
            identity=self._identity,
            network=classifier.network.state_dict(),
            optimizer=trainer.optimizers[0].state_dict()["state"],
            average=None if classifier.average is None else classifier.average.module.state_dict(),
            precision=trainer.precision_plugin.state_dict(),
            curve=(*trial.curve, row),
        )
        trial.checkpoint = checkpoints.save(state, trial.job.folder, trial.job.attempt)
