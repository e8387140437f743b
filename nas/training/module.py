"""A network as Lightning trains it: losses, optimizer with schedule, weight average and the scores of an epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchmetrics.classification import MulticlassConfusionMatrix

from nas.config.training import Recipe
from nas.training.batches import Batch
from nas.training.epochs import Part
from nas.training.optimizer import make_optimizer
from nas.training.ranks import ALONE, Ranks
from nas.training.schedule import learning_rate_factor

STEPS_BETWEEN_CHECKS = 50
"""A loss that is no number is noticed after this many steps at most; looking every step would stall a GPU."""


class NotFiniteError(ArithmeticError):
    """A loss is infinite or no number at all."""


@dataclass(frozen=True)
class Scores:
    """What an epoch came to; the fields mean what they mean in `nas.jobs.Epoch`."""

    train_loss: float
    val_loss: float
    val_accuracy: float
    val_balanced_accuracy: float


@dataclass(frozen=True)
class Horizon:
    """Where a job stands in the whole training.

    Attributes:
        first_epoch: epochs of the schedule that are behind it.
        steps_per_epoch: optimizer steps an epoch.
        epochs: the recipe's full horizon.
        micro_batches: parts of a batch whose gradients a process adds up before a step.
    """

    first_epoch: int
    steps_per_epoch: int
    epochs: int
    micro_batches: int = 1

    @property
    def first_step(self) -> int:
        """Optimizer steps of the schedule that are behind it."""
        return self.first_epoch * self.steps_per_epoch

    @property
    def total_steps(self) -> int:
        """Optimizer steps of the full horizon."""
        return self.epochs * self.steps_per_epoch


def training_loss(output: Any, labels: Tensor, label_smoothing: float) -> Tensor:
    """Cross-entropy of a network in training mode, its auxiliary heads included.

    Args:
        output: logits (B, classes), or `(logits, [(auxiliary logits, weight), ...])`; each head's loss is added
            `weight` times (Szegedy et al. 2015, arXiv:1409.4842, section 5).
        labels: (B,) integers.
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
    """The accuracy, and the balanced accuracy (the mean recall of the classes that occur).

    Args:
        confusion: (classes, classes) counts; rows are true classes, columns predicted ones.

    >>> accuracies(torch.tensor([[6, 2], [1, 1]]))
    (0.7, 0.625)
    """
    right = confusion.diagonal().double()
    images = confusion.sum(dim=1).double()
    occurs = images > 0
    return float(right.sum() / images.sum()), float((right[occurs] / images[occurs]).mean())


def averaged(network: nn.Module, decay: float, updates: int) -> AveragedModel:
    """An exponential moving average that starts as `network` and has seen `updates` steps.

    Batch normalisation's running statistics are averaged with the same decay, because those of the raw network belong
    to other weights.
    """
    follow = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch has no annotation here
    model = AveragedModel(network, multi_avg_fn=follow, use_buffers=True)
    model.requires_grad_(False)
    # Nothing but the very first update asks for this number: it copies instead of averaging.
    model.n_averaged.fill_(updates)
    return model


def paced(momentum: float, part: int, parts: int) -> float:
    """The momentum of running statistics in one part of a batch, so that all parts count alike in one step.

    After all parts the statistics are `(1 - momentum)` times the old ones plus `momentum` times the mean of the parts',
    as one whole batch would leave them.

    Args:
        momentum: that of a whole batch, in [0, 1].
        part: which part this is, 0-based.
        parts: how many there are.

    >>> paced(0.1, 0, 1), paced(0.5, 1, 2)
    (0.1, 0.25)
    """
    each = momentum / parts
    return each / (1 - (parts - 1 - part) * each)


class Classifier(pl.LightningModule):
    """Trains any network that maps images (B, C, H, W) to logits (B, classes)."""

    def __init__(
        self, network: nn.Module, classes: int, recipe: Recipe, horizon: Horizon, ranks: Ranks = ALONE
    ) -> None:
        super().__init__()
        # Channels last is a third faster on a CPU: a step of a tiny Inception network took 33.7 ms against 48.2 at
        # batch 128 and 16 x 16, and 5.4 ms against 7.6 at batch 64 and 8 x 8 (one thread, torch 2.13).
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.recipe = recipe
        self.horizon = horizon
        self.average: AveragedModel | None = None
        if recipe.ema_decay is not None:
            self.average = averaged(self.network, recipe.ema_decay, horizon.first_step)
        self.optimizer_state: dict[int, dict[str, Any]] = {}
        self.ranks = ranks
        self.confusion = MulticlassConfusionMatrix(classes, validate_args=False, sync_on_compute=False)
        self._paces = {norm: norm.momentum for norm in network.modules() if isinstance(norm, _BatchNorm)}
        self._train_loss = torch.zeros(())
        self._val_loss = torch.zeros(())

    def configure_optimizers(self) -> Any:
        """The recipe's optimizer with the history of `optimizer_state`, and the schedule from this job's first step."""
        optimizer = make_optimizer(self.network, self.recipe)
        # The groups stay this recipe's own: the rate is a function of the step and is not carried over.
        optimizer.load_state_dict(
            {"state": self.optimizer_state, "param_groups": optimizer.state_dict()["param_groups"]}
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, self._factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _factor(self, step: int) -> float:
        return learning_rate_factor(self.horizon.first_step + step, self.horizon.total_steps, self.recipe)

    def on_train_epoch_start(self) -> None:
        """Forget the last epoch's loss."""
        self._train_loss = torch.zeros((), device=self.device)

    def training_step(self, part: Part, batch_idx: int) -> Tensor:
        """The loss of one part of a batch; nothing is logged, the sum stays on the device until the epoch ends.

        Lightning and DDP take the mean of the gradients over the parts, so a part counts by its share times their
        number: the step is then the gradient of the whole batch's mean loss, however many images each part has.
        """
        images, labels, share = part
        self._pace_norms(batch_idx % self.horizon.micro_batches)
        output = self.network(images.contiguous(memory_format=torch.channels_last))
        loss = training_loss(output, labels, self.recipe.label_smoothing)
        self._train_loss += share * loss.detach()
        if batch_idx % STEPS_BETWEEN_CHECKS == STEPS_BETWEEN_CHECKS - 1:
            _finite(self._train_loss.item(), "training")
        return loss if share == 1 else share * self.horizon.micro_batches * self.ranks.count * loss

    def _pace_norms(self, part: int) -> None:
        """Let batch norm's running statistics go as far in all parts of a batch as they go in one whole batch."""
        parts = self.horizon.micro_batches
        if parts > 1:
            for norm, momentum in self._paces.items():
                norm.momentum = None if momentum is None else paced(momentum, part, parts)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Let the average follow each step."""
        if self.average is not None and (batch_idx + 1) % self.horizon.micro_batches == 0:
            self.average.update_parameters(self.network)

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation, and let every rank validate the same network.

        Each rank's batch norms have followed its own parts. Their running statistics are linear in what they follow, so
        one mean an epoch is the mean of all parts at every step.
        """
        networks = [self.network] if self.average is None else [self.network, self.average.module]
        self.ranks.average(b for network in networks for b in network.buffers() if b.is_floating_point())
        self._val_loss = torch.zeros((), device=self.device)
        self.confusion.reset()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Add one batch to the scores; the average is scored where there is one."""
        images, labels = batch
        network = self.network if self.average is None else self.average
        logits = network(images.contiguous(memory_format=torch.channels_last))
        self._val_loss += functional.cross_entropy(logits, labels, reduction="sum")
        self.confusion.update(logits.argmax(dim=1), labels)

    def scores(self) -> Scores:
        """The scores of the epoch that has ended.

        Raises:
            NotFiniteError: if a loss is infinite or no number.
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
