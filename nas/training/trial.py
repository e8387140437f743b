"""Training of one job of one trial: from a network and a checkpoint to a learning curve and the next checkpoint."""

from __future__ import annotations

import logging
import time
import traceback
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
from torch import Tensor, nn

from nas.config.training import Recipe
from nas.jobs import Control, Curve, Epoch, Job, Outcome
from nas.training import checkpoint as checkpoints
from nas.training.batches import ImageData
from nas.training.checkpoint import Checkpoint
from nas.training.checkpoint_file import CheckpointError
from nas.training.epochs import SeededEpochs, ValidationShare
from nas.training.exceptions import classify_failure
from nas.training.module import Classifier, Horizon
from nas.training.optimizer import make_optimizer
from nas.training.ranks import Ranks

# Lightning logs devices and tips at every fit. Its import sets this level, so it is set here, after it.
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


def train(
    network: nn.Module, data: ImageData, recipe: Recipe, job: Job, control: Control, accelerator: str = "auto"
) -> Outcome:
    """Train `network` from one epoch to another, and return the outcome.

    A training to epoch a that is resumed to epoch b ends, on a CPU, bit for bit like an uninterrupted one: the learning
    rate is a function of the step in the full schedule; optimizer, weight average and batch-norm statistics are in the
    checkpoint; and torch's generator is seeded with the job's seed and the epoch's number at the start of each epoch.
    With a parent, `network` has inherited weights, and the training is the last part of the schedule.
    In a torch process group, every rank calls this with the same job and data and trains on its share of each batch;
    only rank 0 writes checkpoints and reports epochs, and all ranks stop after an epoch in which any control requests
    it.
    An exception of the training is returned as the outcome's `failure`, with its traceback on standard error;
    KeyboardInterrupt and SystemExit are raised.

    Args:
        network: maps images (B, C, H, W) to logits (B, classes); in training mode it may return
            `(logits, [(auxiliary logits, weight), ...])`. Build it right after `torch.manual_seed(job.seed)`, which
            decides its initial weights. It is trained in place.
        data: the loaders of this trial.
        recipe: the training recipe; its `epochs` is the full schedule, at least `job.to_epoch`.
        job: the first and the last epoch, and the checkpoint to resume from. With `from_epoch == to_epoch` the
            checkpoint is only read.
        control: gets each epoch once its checkpoint is on disk, and decides whether to stop.
        accelerator: Lightning's name of the device type, such as `cpu` or `cuda`; `auto` takes the best available.

    Returns:
        The learning curve so far, the newest complete checkpoint, and the failure if there was one.
    """
    state = _JobState(job, control)
    try:
        state.run(network, data, recipe, accelerator)
    except Exception as error:  # the search decides by the kind of the failure
        traceback.print_exc()
        return Outcome(job, state.curve, state.checkpoint, classify_failure(error))
    return Outcome(job, state.curve, state.checkpoint)


class _JobState:
    """Curve and checkpoint of a job so far, which remain after a failure."""

    def __init__(self, job: Job, control: Control) -> None:
        self.job = job
        self.control = control
        self.curve: Curve = ()
        self.checkpoint: Path | None = None
        self.ranks = Ranks.current()

    def run(self, network: nn.Module, data: ImageData, recipe: Recipe, accelerator: str) -> None:
        job = self.job
        left = recipe.epochs - job.skips
        if job.to_epoch > left:
            raise ValueError(f"a job must end within the recipe's {left} epochs, got to_epoch {job.to_epoch}")
        if job.devices != self.ranks.count:
            raise ValueError(f"a job over {job.devices} devices must have as many processes, got {self.ranks.count}")
        steps = len(data.train_loader)
        horizon = Horizon(job.skips + job.from_epoch, steps, recipe.epochs, job.micro_batches, job.skips)
        identity = checkpoints.training_identity(job, recipe, horizon.steps_per_epoch)
        start = None if job.checkpoint is None else checkpoints.load(job.checkpoint, identity)
        if start is not None:
            self._resume(start)
        if job.from_epoch == job.to_epoch:
            return
        classifier = Classifier(network, data.classes, recipe, horizon, self.ranks)
        trainer = _trainer(recipe, job, accelerator, _EpochRecorder(self, identity), self.ranks)
        if start is not None:
            _restore(start, classifier, trainer)
        with warnings.catch_warnings():
            # Lightning 2.6 checks tree specs in a way that torch 2.13 deprecates.
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            # torch 2.13 renamed this option of DDP; torch 2.6 has only the old name.
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
            trainer.fit(
                classifier,
                SeededEpochs(data.train_loader, job.seed, horizon.first_epoch, job.micro_batches, self.ranks),
                ValidationShare(data.val_loader, self.ranks),
            )

    def _resume(self, start: Checkpoint) -> None:
        if start.epoch != self.job.from_epoch:
            raise CheckpointError(
                f"a checkpoint must end at the job's from_epoch {self.job.from_epoch}, "
                f"got epoch {start.epoch} in {self.job.checkpoint}"
            )
        self.curve = start.curve
        self.checkpoint = self.job.checkpoint


def _trainer(recipe: Recipe, job: Job, accelerator: str, epoch_ends: pl.Callback, ranks: Ranks) -> pl.Trainer:
    """Return a Trainer for the job's epochs, without logging, checkpointing and progress bars."""
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
        _check_optimizer(classifier, start.optimizer)
        classifier.network.load_state_dict(start.network)
        if classifier.average is not None:
            classifier.average.module.load_state_dict(start.average or {})
    except RuntimeError as error:
        raise CheckpointError(f"a checkpoint must fit the network that is resumed: {error}") from error
    classifier.optimizer_state = start.optimizer
    trainer.precision_plugin.load_state_dict(start.precision)


def _check_optimizer(classifier: Classifier, states: Mapping[int, Mapping[str, Any]]) -> None:
    """Refuse the state of an optimizer of other parameters.

    Raises:
        CheckpointError: an index or a shape is not that of a parameter.
    """
    groups = make_optimizer(classifier.network, classifier.recipe).param_groups
    shapes = [parameter.shape for group in groups for parameter in group["params"]]
    for index, state in states.items():
        tensors = [value for value in state.values() if isinstance(value, Tensor)]
        if not 0 <= index < len(shapes) or any(one.dim() and one.shape != shapes[index] for one in tensors):
            raise CheckpointError(
                f"a checkpoint must fit the network that is resumed: its optimizer does not at {index}"
            )


class _EpochRecorder(pl.Callback):
    """Callback that records each epoch: a row of the curve, a checkpoint, and a report to the control."""

    def __init__(self, state: _JobState, identity: dict[str, str]) -> None:
        self._state = state
        self._identity = identity
        self._began = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        self._began = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        state = self._state
        scores = pl_module.scores()
        row = Epoch(
            epoch=len(state.curve) + 1,
            train_loss=scores.train_loss,
            val_loss=scores.val_loss,
            val_accuracy=scores.val_accuracy,
            val_balanced_accuracy=scores.val_balanced_accuracy,
            seconds=time.perf_counter() - self._began,
        )
        if state.ranks.first:
            self._save(trainer, pl_module, row)
        state.curve = (*state.curve, row)
        if state.ranks.first:
            state.control.epoch_done(row)
        if state.ranks.any(state.control.should_stop(), pl_module.device):
            trainer.should_stop = True

    def _save(self, trainer: pl.Trainer, classifier: Classifier, row: Epoch) -> None:
        state = self._state
        checkpoint = Checkpoint(
            identity=self._identity,
            network=classifier.network.state_dict(),
            optimizer=trainer.optimizers[0].state_dict()["state"],
            average=None if classifier.average is None else classifier.average.module.state_dict(),
            precision=trainer.precision_plugin.state_dict(),
            curve=(*state.curve, row),
        )
        state.checkpoint = checkpoints.save(checkpoint, state.job.folder, state.job.attempt)
