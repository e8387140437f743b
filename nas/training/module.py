"""LightningModule of a network: losses, optimizer with schedule, weight averaging and the scores of an epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel
from torchmetrics.classification import MulticlassConfusionMatrix

from nas.config.training import Recipe
from nas.training.batches import Batch
from nas.training.epochs import MicroBatch
from nas.training.optimizer import make_optimizer
from nas.training.ranks import SINGLE, Ranks
from nas.training.schedule import learning_rate_factor

Tensors = tuple[Tensor, ...] | list[Tensor]

STEPS_BETWEEN_CHECKS = 50
"""Steps between two checks that the loss is finite; a check at every step would stall a GPU."""


class NotFiniteError(ArithmeticError):
    """A loss that is infinite or not a number."""


@dataclass(frozen=True)
class Scores:
    """Scores of an epoch, as in `nas.jobs.Epoch`."""

    train_loss: float
    val_loss: float
    val_accuracy: float
    val_balanced_accuracy: float


@dataclass(frozen=True)
class Horizon:
    """Position of a job in the full training.

    Attributes:
        first_epoch: epochs of the schedule before the job.
        steps_per_epoch: optimizer steps an epoch.
        epochs: epochs of the full schedule.
        micro_batches: micro-batches whose gradients a process accumulates for one step.
        skipped_epochs: those of the epochs before the job that were not trained.
    """

    first_epoch: int
    steps_per_epoch: int
    epochs: int
    micro_batches: int = 1
    skipped_epochs: int = 0

    @property
    def first_step(self) -> int:
        """Number of optimizer steps of the schedule before the job."""
        return self.first_epoch * self.steps_per_epoch

    @property
    def trained_steps(self) -> int:
        """Number of optimizer steps of this training before the job."""
        return (self.first_epoch - self.skipped_epochs) * self.steps_per_epoch

    @property
    def total_steps(self) -> int:
        """Number of optimizer steps of the full schedule."""
        return self.epochs * self.steps_per_epoch


def training_loss(output: Any, labels: Tensor, label_smoothing: float) -> Tensor:
    """Return the cross-entropy of a network in training mode, with its auxiliary heads.

    Args:
        output: logits (B, classes), or `(logits, [(auxiliary logits, weight), ...])`; each head's loss is added
            `weight` times (Szegedy et al. 2015, arXiv:1409.4842, section 5).
        labels: (B,) int64.
        label_smoothing: share of the target spread over all classes, in [0, 1).

    Returns:
        A scalar.
    """
    logits, heads = (output, ()) if isinstance(output, Tensor) else output
    loss = functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    for head, weight in heads:
        loss = loss + weight * functional.cross_entropy(head, labels, label_smoothing=label_smoothing)
    return loss


def accuracies(confusion: Tensor) -> tuple[float, float]:
    """Return the accuracy, and the balanced accuracy (mean recall over the classes that occur).

    Args:
        confusion: (classes, classes) counts; rows are true classes, columns predicted ones.

    >>> accuracies(torch.tensor([[6, 2], [1, 1]]))
    (0.7, 0.625)
    """
    right = confusion.diagonal().double()
    images = confusion.sum(dim=1).double()
    occurs = images > 0
    return float(right.sum() / images.sum()), float((right[occurs] / images[occurs]).mean())


def confusion_of(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the confusion matrix (classes, classes) of logits (N, classes) and labels (N,); rows are true classes."""
    classes = logits.shape[1]
    return torch.bincount(labels * classes + logits.argmax(dim=1), minlength=classes**2).reshape(classes, classes)


def warmed_decay(decay: float, updates: int) -> float:
    """Return the decay of a moving average after some updates, which rises to `decay`.

    It is min(decay, (1 + n) / (10 + n)), the schedule of TensorFlow's `ExponentialMovingAverage`: after n updates the
    average spans about n / 9 of them, so that it never holds much of the initial weights. With decay 0.995 it is
    `decay` from 1,790 updates on.

    >>> round(warmed_decay(0.995, 1), 3), round(warmed_decay(0.995, 144), 3), warmed_decay(0.995, 1790)
    (0.182, 0.942, 0.995)
    """
    return min(decay, (1 + updates) / (10 + updates))


def make_average(network: nn.Module, decay: float, updates: int) -> AveragedModel:
    """Return an exponential moving average of the weights that starts as `network`, after `updates` updates.

    The first update copies the weights; the decay then rises as `warmed_decay` does. Running statistics of batch
    normalisation are averaged with the same decay, because those of the network belong to other weights.
    """

    @torch.no_grad()
    def update(averages: Tensors, weights: Tensors, count: Tensor | int) -> None:
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, weights, 1 - warmed_decay(decay, int(count)))
        else:  # counters of batches
            for average, weight in zip(averages, weights, strict=True):
                average.copy_(weight)

    model = AveragedModel(network, multi_avg_fn=update, use_buffers=True)
    model.requires_grad_(False)
    model.n_averaged.fill_(updates)
    return model


def micro_batch_momentum(momentum: float, part: int, parts: int) -> float:
    """Return the momentum of running statistics in one micro-batch, so that all micro-batches have equal weight.

    After all of them the statistics are `(1 - momentum)` times the old ones plus `momentum` times the mean over the
    micro-batches, as after one whole batch.

    Args:
        momentum: momentum of a whole batch, in [0, 1].
        part: index of the micro-batch, 0-based.
        parts: number of micro-batches.

    >>> micro_batch_momentum(0.1, 0, 1), micro_batch_momentum(0.5, 1, 2)
    (0.1, 0.25)
    """
    each = momentum / parts
    return each / (1 - (parts - 1 - part) * each)


class Classifier(pl.LightningModule):
    """LightningModule of any network that maps images (B, C, H, W) to logits (B, classes)."""

    def __init__(
        self, network: nn.Module, classes: int, recipe: Recipe, horizon: Horizon, ranks: Ranks = SINGLE
    ) -> None:
        super().__init__()
        # Channels last is a third faster on a CPU: a step of a tiny Inception network took 33.7 ms against 48.2 at
        # batch 128 and 16 x 16, and 5.4 ms against 7.6 at batch 64 and 8 x 8 (one thread, torch 2.13).
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.recipe = recipe
        self.horizon = horizon
        self.average: AveragedModel | None = None
        if recipe.ema_decay is not None:
            self.average = make_average(self.network, recipe.ema_decay, horizon.trained_steps)
        self.optimizer_state: dict[int, dict[str, Any]] = {}
        self.ranks = ranks
        self.confusion = MulticlassConfusionMatrix(classes, validate_args=False, sync_on_compute=False)
        self._momenta = {norm: norm.momentum for norm in network.modules() if isinstance(norm, _BatchNorm)}
        self._train_loss = torch.zeros(())
        self._val_loss = torch.zeros(())

    def configure_optimizers(self) -> Any:
        """Return the recipe's optimizer with `optimizer_state` loaded, and the schedule from this job's first step."""
        optimizer = make_optimizer(self.network, self.recipe)
        # The groups are the recipe's: the learning rate is a function of the step and is not restored.
        optimizer.load_state_dict(
            {"state": self.optimizer_state, "param_groups": optimizer.state_dict()["param_groups"]}
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _factor(self, step: int) -> float:
        return learning_rate_factor(self.horizon.first_step + step, self.horizon.total_steps, self.recipe)

    def on_train_epoch_start(self) -> None:
        """Reset the training loss."""
        self._train_loss = torch.zeros((), device=self.device)

    def training_step(self, part: MicroBatch, batch_idx: int) -> Tensor:
        """Return the loss of one micro-batch; the sum stays on the device until the epoch ends.

        Lightning and DDP average the gradients over the micro-batches, so each loss is multiplied by its share of the
        batch times their number: the step then follows the mean loss of the whole batch, even if sizes differ.
        """
        images, labels, share = part
        self._scale_norm_momenta(batch_idx % self.horizon.micro_batches)
        output = self.network(images.contiguous(memory_format=torch.channels_last))
        loss = training_loss(output, labels, self.recipe.label_smoothing)
        self._train_loss += share * loss.detach()
        if batch_idx % STEPS_BETWEEN_CHECKS == STEPS_BETWEEN_CHECKS - 1:
            _finite(self._train_loss.item(), "training")
        return loss if share == 1 else share * self.horizon.micro_batches * self.ranks.count * loss

    def _scale_norm_momenta(self, part: int) -> None:
        """Set the momenta of batch norms so that all micro-batches update running statistics like one whole batch."""
        parts = self.horizon.micro_batches
        if parts > 1:
            for norm, momentum in self._momenta.items():
                norm.momentum = None if momentum is None else micro_batch_momentum(momentum, part, parts)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Update the weight average after each step."""
        if self.average is not None and (batch_idx + 1) % self.horizon.micro_batches == 0:
            self.average.update_parameters(self.network)

    def on_validation_epoch_start(self) -> None:
        """Reset the validation scores, and average the batch norms' running statistics over the ranks.

        Each rank's statistics follow its own micro-batches. They are linear in the statistics of the batches, so one
        mean an epoch equals a mean over all micro-batches at every step.
        """
        networks = [self.network] if self.average is None else [self.network, self.average.module]
        self.ranks.average(b for network in networks for b in network.buffers() if b.is_floating_point())
        self._val_loss = torch.zeros((), device=self.device)
        self.confusion.reset()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Add one batch to the scores, of the averaged network if there is one."""
        images, labels = batch
        network = self.network if self.average is None else self.average
        logits = network(images.contiguous(memory_format=torch.channels_last))
        self._val_loss += functional.cross_entropy(logits, labels, reduction="sum")
        self.confusion.update(logits.argmax(dim=1), labels)

    def scores(self) -> Scores:
        """Return the scores of the epoch.

        Raises:
            NotFiniteError: a loss is infinite or not a number.
        """
        confusion = self.ranks.total(self.confusion.compute()).cpu()
        train_loss, val_loss = self.ranks.total(torch.stack((self._train_loss, self._val_loss))).tolist()
        accuracy, balanced_accuracy = accuracies(confusion)
        return Scores(
            train_loss=_finite(train_loss / self.horizon.steps_per_epoch, "training"),
            val_loss=_finite(val_loss / int(confusion.sum()), "validation"),
            val_accuracy=accuracy,
            val_balanced_accuracy=balanced_accuracy,
        )


def _finite(loss: float, part: str) -> float:
    if not math.isfinite(loss):
        raise NotFiniteError(f"the {part} loss must stay finite, got {loss}")
    return loss
