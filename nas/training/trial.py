"""Training of one job of one trial: from a network and a checkpoint to a learning curve and the next checkpoint."""

from __future__ import annotations

import logging
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
from torch import nn

from nas.config.training import AUTO_PRECISION, Recipe
from nas.jobs import Control, Curve, Epoch, Failure, Job, Outcome, in_step
from nas.training.batches import ImageData
from nas.training.checkpoint import PRECISION, TrainingState, load, training_identity
from nas.training.checkpoint_file import CheckpointError
from nas.training.checkpoint_folder import Place
from nas.training.checkpoint_writer import CheckpointWriter
from nas.training.device import automatic_precision, device_of
from nas.training.epochs import AtOnce, PackedEpochs, SeededEpochs, ValidationShare
from nas.training.exceptions import classify_failure
from nas.training.module import Classifier, Horizon
from nas.training.ranks import Ranks
from nas.training.scores import NotFiniteError, Scores
from nas.training.state import packed, restore, state_of
from search_space.network import Network
from search_space.packing import PackedNetwork

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
            decides its initial weights. It is trained in place, and validated as a deep copy of its modules.
        data: the loaders of this trial.
        recipe: the training recipe; its `epochs` is the full schedule, at least `job.to_epoch`.
        job: the first and the last epoch, and the checkpoint to resume from. With `from_epoch == to_epoch` the
            checkpoint is only read.
        control: gets each epoch once its checkpoint is on disk, and decides whether to stop.
        accelerator: Lightning's name of the device type, such as `cpu` or `cuda`; `auto` is a CUDA GPU or else the CPU.

    Returns:
        The learning curve so far, the newest complete checkpoint, and the failure if there was one.
    """
    (outcome,) = train_pack([Member(network, data, job, control)], recipe, accelerator)
    return outcome


class PackError(RuntimeError):
    """Failure of one job of a pack, for which the others are trained alone."""


@dataclass(frozen=True, eq=False)
class Member:
    """Training of one network, alone or in a pack.

    Attributes:
        network: as for `train`.
        data: as for `train`.
        job: as for `train`.
        control: as for `train`; a pack stops after an epoch in which any member's requests it.
    """

    network: nn.Module
    data: ImageData
    job: Job
    control: Control


def train_pack(
    members: Sequence[Member], recipe: Recipe, accelerator: str = "auto", *, validates: bool = True
) -> tuple[Outcome, ...]:
    """Train networks of one graph as one, each as `train` does, and return the outcome of each.

    Each has its own weights, batches, curve and checkpoints, which are those of a training alone within the rounding of
    sums. A member whose loss is no longer finite fails, and the others go on. The validation images are those of the
    first member. An epoch's seconds are shared out evenly.

    Args:
        members: at least one; several have jobs over one device, from the same epoch to the same epoch, with whole
            batches and as many of them, and no parents.
        recipe: as for `train`.
        accelerator: as for `train`.
        validates: whether the networks are validated. A curve has no validation scores otherwise.
    """
    training = _Training(members, recipe, validates=validates)
    try:
        training.run(accelerator)
    except Exception as error:  # the search decides by the kind of the failure
        traceback.print_exc()
        failure = classify_failure(error)
        return tuple(each.outcome(failure) for each in training.progress)
    return tuple(each.outcome() for each in training.progress)


@dataclass(eq=False)
class _Progress:
    """Curve and checkpoint of a member so far, which remain after a failure.

    Attributes:
        job: the member's.
        control: the member's.
        trained: the learning curve.
        curve: its epochs whose checkpoints are on the disk.
        checkpoint: the last of these.
        failure: of the member alone.
        precision: with `training.precision=auto`, the precision of the checkpoint that it goes on from.
    """

    job: Job
    control: Control
    trained: Curve = ()
    curve: Curve = ()
    checkpoint: Path | None = None
    failure: Failure | None = None
    precision: str | None = None

    def resume(self, identity: Mapping[str, str]) -> TrainingState:
        """Go on from the job's checkpoint, and return its state.

        Raises:
            CheckpointError: it is of another training, or ends at another epoch than the one that the job begins at.
        """
        assert self.job.checkpoint is not None
        start = load(self.job.checkpoint, identity)
        if start.epoch != self.job.from_epoch:
            raise CheckpointError(
                f"a checkpoint must end at the job's from_epoch {self.job.from_epoch}, "
                f"got epoch {start.epoch} in {self.job.checkpoint}"
            )
        self.trained = self.curve = start.curve
        self.checkpoint = self.job.checkpoint
        self.precision = start.identity.get(PRECISION)
        return start.state

    def written(self, curve: Curve, checkpoint: Path) -> None:
        """Report the last epoch of a curve, whose checkpoint is on the disk."""
        self.curve, self.checkpoint = curve, checkpoint
        self.control.epoch_done(curve[-1])

    def outcome(self, failure: Failure | None = None) -> Outcome:
        """Return the outcome, with the member's own failure or else that of the whole training."""
        return Outcome(self.job, self.curve, self.checkpoint, self.failure or failure)


class _Training:
    """Training of one network, or of a pack."""

    def __init__(self, members: Sequence[Member], recipe: Recipe, *, validates: bool) -> None:
        self.members = members
        self.recipe = recipe
        self.validates = validates
        self.progress = [_Progress(member.job, member.control) for member in members]
        self.ranks = Ranks.current()

    def run(self, accelerator: str) -> None:
        accelerator = device_of(accelerator)
        job, data = self.members[0].job, self.members[0].data
        self._check_jobs()
        horizon = Horizon(
            job.skips + job.from_epoch, len(data.train_loader), self.recipe.epochs, job.micro_batches, job.skips
        )
        identities = [training_identity(each.job, self.recipe, horizon.steps_per_epoch) for each in self.progress]
        starts = self._starts(identities) if job.checkpoint is not None else []
        if job.from_epoch == job.to_epoch:
            return
        if self.recipe.precision == AUTO_PRECISION:
            begun = {each.precision for each in self.progress}
            chosen = automatic_precision(accelerator, begun.pop() if len(begun) == 1 else None)
            self.recipe = replace(self.recipe, precision=chosen)
            identities = [{**identity, PRECISION: chosen} for identity in identities]
        network = self.members[0].network
        if len(self.members) > 1:
            network = PackedNetwork([cast(Network, member.network) for member in self.members])
        classifier = Classifier(network, data.classes, self.recipe, horizon, self.ranks)
        classifier.class_weights = data.class_weights
        writers = [
            CheckpointWriter(Place(each.job.folder, each.job.attempt, len(self.members) > 1), identity)
            for each, identity in zip(self.progress, identities, strict=True)
        ]
        recorder = _EpochRecorder(self, writers)
        trainer = _trainer(self.recipe, job, accelerator, recorder, self.ranks)
        classifier.must_validate = partial(recorder.must_validate, trainer, classifier)
        if starts:
            restore(packed(starts), classifier, trainer)
        with ExitStack() as ending, warnings.catch_warnings():
            for writer in writers:
                ending.enter_context(closing(writer))
            # Lightning 2.6 checks tree specs in a way that torch 2.13 deprecates.
            warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
            # torch 2.13 renamed this option of DDP; torch 2.6 has only the old name.
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated")
            trainer.fit(
                classifier, self._epochs(network, horizon), AtOnce(ValidationShare(data.val_loader, self.ranks))
            )
        for progress, writer in zip(self.progress, writers, strict=True):
            if len(self.members) > 1 and progress.failure is None:
                writer.end(len(progress.curve))

    def _starts(self, identities: Sequence[Mapping[str, str]]) -> list[TrainingState]:
        """Return the states that the members go on from.

        Raises:
            CheckpointError: that of the only training can't be read.
            PackError: that of a member can't be read; the failure is that member's.
        """
        starts = []
        for progress, identity in zip(self.progress, identities, strict=True):
            try:
                starts.append(progress.resume(identity))
            except CheckpointError as error:
                if len(self.progress) == 1:
                    raise
                progress.failure = classify_failure(error)
        if len(starts) < len(self.progress):
            raise PackError("the checkpoints of all jobs of a pack must be readable, one was not")
        return starts

    def _check_jobs(self) -> None:
        for job in (member.job for member in self.members):
            left = self.recipe.epochs - job.skips
            if job.to_epoch > left:
                raise ValueError(f"a job must end within the recipe's {left} epochs, got to_epoch {job.to_epoch}")
            if job.devices != self.ranks.count:
                raise ValueError(
                    f"a job over {job.devices} devices must have as many processes, got {self.ranks.count}"
                )

    @property
    def writes_beside(self) -> bool:
        """True if checkpoints are written while the next epoch trains; all ranks of several go in step."""
        return self.ranks.count == 1 and not any(in_step(each.control) for each in self.progress)

    def _epochs(self, network: nn.Module, horizon: Horizon) -> Any:
        """Return the training batches, for Lightning."""
        job, loaders = self.members[0].job, [member.data.train_loader for member in self.members]
        if isinstance(network, PackedNetwork):
            seeds = [member.job.seed for member in self.members]
            return AtOnce(PackedEpochs(network, loaders, seeds, horizon.first_epoch))
        epochs = SeededEpochs(loaders[0], job.seed, horizon.first_epoch, job.micro_batches, self.ranks)
        return AtOnce(epochs) if self.ranks.count == 1 else epochs


def _trainer(recipe: Recipe, job: Job, accelerator: str, epoch_ends: pl.Callback, ranks: Ranks) -> pl.Trainer:
    """Return a Trainer for the job's epochs, without logging, checkpointing and progress bars."""
    by_lightning: dict[str, Any] = {
        "gradient_clip_val": recipe.gradient_clip,
        "accumulate_grad_batches": job.micro_batches,
    }
    return pl.Trainer(
        accelerator=accelerator,
        devices=1,
        precision=cast(Any, recipe.precision),
        max_epochs=job.to_epoch - job.from_epoch,
        callbacks=[epoch_ends],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=job.folder,
        **(by_lightning if ranks.count > 1 else {}),
        **ranks.trainer_options(),
    )


class _EpochRecorder(pl.Callback):
    """Callback that records each epoch: a row of each member's curve, a checkpoint, and a report to its control.

    An epoch is reported once its checkpoint is on the disk, which may be while the next one trains.
    """

    def __init__(self, training: _Training, writers: Sequence[CheckpointWriter]) -> None:
        self._training = training
        self._writers = writers
        self._began = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        self._began = time.perf_counter()

    def must_validate(self, trainer: pl.Trainer, classifier: Classifier) -> bool:
        """Return whether this epoch is to be validated: every n-th one, the job's last one, and one to stop after."""
        if not self._training.validates:
            return False
        epoch, job = trainer.current_epoch + 1, self._training.members[0].job
        due = (job.from_epoch + epoch) % self._training.recipe.validate_every == 0 or epoch == trainer.max_epochs
        return due or self._stops(classifier)

    def _stops(self, classifier: Classifier) -> bool:
        stops = any(progress.control.should_stop() for progress in self._training.progress)
        return self._training.ranks.any(stops, classifier.device)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Classifier)
        training = self._training
        scores = self._scores(pl_module)
        goes_on = [index for index, progress in enumerate(training.progress) if progress.failure is None]
        if training.ranks.first:
            for index in goes_on:
                self._writers[index].take(state_of(trainer, pl_module, index))
        seconds = (time.perf_counter() - self._began) / len(scores)
        for index in goes_on:
            progress = training.progress[index]
            self._record(index, scores[index].row(len(progress.trained) + 1, seconds))
        if not training.writes_beside or trainer.current_epoch + 1 == trainer.max_epochs:
            for writer in self._writers:
                writer.wait()
        if (pl_module.validates or not training.validates) and self._stops(pl_module):
            trainer.should_stop = True

    def _scores(self, classifier: Classifier) -> list[Scores]:
        """Return the scores of the members; those whose loss is not finite have failed.

        Raises:
            NotFiniteError: all members have.
        """
        scores, error = classifier.scores(), None
        for progress, score in zip(self._training.progress, scores, strict=True):
            try:
                score.check()
            except NotFiniteError as found:
                error = found
                progress.failure = progress.failure or classify_failure(found)
        if error is not None and all(progress.failure for progress in self._training.progress):
            raise error
        return scores

    def _record(self, index: int, row: Epoch) -> None:
        progress = self._training.progress[index]
        progress.trained = (*progress.trained, row)
        if self._training.ranks.first:
            self._writers[index].write(progress.trained, progress.written)
        else:
            progress.curve = progress.trained
