"""LightningModule of a network: losses, optimizer with schedule, weight averaging and the scores of an epoch.

A process that trains alone gets a whole epoch as one batch of Lightning's, and takes its steps itself (Lightning's
manual optimization): at networks of a few thousand parameters Lightning's own work for a batch is a seventh of a step.
Of several processes each gets its micro-batches one by one, and DDP exchanges the gradients.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nas.config.training import Recipe
from nas.training.averaging import WeightAverage
from nas.training.batches import Batch
from nas.training.clipping import clip_gradients
from nas.training.epochs import MicroBatch
from nas.training.folded import FoldedNetwork
from nas.training.graphed_step import GraphedStep, obstacle
from nas.training.head import HeadStage
from nas.training.losses import training_loss, validation_loss
from nas.training.optimizer import make_optimizer
from nas.training.ranks import SINGLE, Ranks
from nas.training.schedule import learning_rate_factor
from nas.training.scores import ConfusionMatrices, FiniteWatch, Scores, accuracies
from nas.training.zeros import HeldZeros
from search_space.packing import PackedNetwork, pack_images

log = logging.getLogger(__name__)

STEPS_BETWEEN_CHECKS = 50
"""Steps between two looks at the loss, which must be finite."""


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


def compiled(network: nn.Module, mode: str) -> Callable[[Tensor], Any]:
    """Return the forward pass of a network, and with it the backward one, compiled by torch at the first call.

    Compilations of earlier networks of this process are forgotten: the number of those of one function is limited.
    """
    torch.compiler.reset()
    return cast(Callable[[Tensor], Any], torch.compile(network.forward, mode=mode))


class Classifier(pl.LightningModule):
    """LightningModule of a network, or of a pack of networks of one graph.

    A network maps images (B, C, H, W) to logits (B, classes), a pack of k images (B, k·C, H, W) to (B, k, classes). The
    losses of a pack are added, so that each member follows the gradient of its own.
    """

    class_weights: Tensor | None

    def __init__(
        self, network: nn.Module, classes: int, recipe: Recipe, horizon: Horizon, ranks: Ranks = SINGLE
    ) -> None:
        super().__init__()
        self.register_buffer("class_weights", None, persistent=False)
        # Channels last is a third faster on a CPU: a step of a tiny Inception network took 33.7 ms against 48.2 at
        # batch 128 and 16 x 16, and 5.4 ms against 7.6 at batch 64 and 8 x 8 (one thread, torch 2.13).
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
        self.members = network.members if isinstance(network, PackedNetwork) else 1
        self.automatic_optimization = ranks.count > 1
        self.recipe = recipe
        self.horizon = horizon
        self.average: WeightAverage | None = None
        if recipe.ema_decay is not None:
            self.average = WeightAverage(self.network, recipe.ema_decay, horizon.trained_steps)
        self.optimizer_state: dict[int, dict[str, Any]] = {}
        self.ranks = ranks
        self.confusion = ConfusionMatrices(self.members, classes)
        self._momenta = {norm: norm.momentum for norm in network.modules() if isinstance(norm, _BatchNorm)}
        self._peaks: list[float] = []
        self._steps = 0
        self._watch = FiniteWatch()
        self._captures = False
        self._graphed: GraphedStep | None = None
        self._head = HeadStage(self.network, recipe.head_epochs)
        self._zeros: HeldZeros | None = None
        self._compiled = None if recipe.compile is None else compiled(self.network, recipe.compile)
        self._folded: FoldedNetwork | None = None
        self.must_validate: Callable[[], bool] = lambda: True
        self.validates = True
        self._train_loss = torch.zeros(self.members)
        self._val_loss = torch.zeros(self.members)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the recipe's optimizer of all parameters with `optimizer_state` loaded."""
        optimizer = make_optimizer(self.network, self.recipe)
        # The groups are the recipe's: the learning rate is a function of the step and is not restored.
        optimizer.load_state_dict(
            {"state": self.optimizer_state, "param_groups": optimizer.state_dict()["param_groups"]}
        )
        self._peaks = [float(group["lr"]) for group in optimizer.param_groups]
        return optimizer

    def on_train_epoch_start(self) -> None:
        """Reset the training loss, in place: a captured step adds to this tensor; begin or end the head's stage."""
        self._train_loss = self._train_loss.to(self.device).zero_()
        if self._head.enter(self.horizon.first_epoch + self.current_epoch):
            self._graphed = None  # it was captured for the parameters of the other stage

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        """Train on the micro-batches of a whole epoch, or return the loss of one, which Lightning minimises.

        The sum of the losses stays on the device until the epoch ends.
        """
        if self.automatic_optimization:
            # DDP averages the gradients over the ranks, and Lightning over the micro-batches of a process.
            loss = self._loss(batch, batch_idx, batch[2] * self.horizon.micro_batches * self.ranks.count)
            self._look(batch_idx)
            return loss
        self._train(batch)
        return None

    def _train(self, parts: Iterator[MicroBatch]) -> None:
        (optimizer,) = self.trainer.optimizers
        graphed = self._graphed_step(optimizer)
        for index, part in enumerate(parts):
            self._set_learning_rate(optimizer)
            if graphed is None:
                self._take(optimizer, part, index)
            else:
                graphed(part[0], part[1])
            self._look(index)
            if (index + 1) % self.horizon.micro_batches == 0:
                self._after_step()

    def _take(self, optimizer: torch.optim.Optimizer, part: MicroBatch, index: int) -> None:
        """Add the gradients of a micro-batch, and take the optimizer's step after the last one of a batch."""
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        loss = self._loss(part, index, part[2])
        (loss if scaler is None else scaler.scale(loss)).backward()
        if (index + 1) % self.horizon.micro_batches:
            return
        self._clip(optimizer, scaler)
        if scaler is None:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        optimizer.zero_grad()

    def on_fit_start(self) -> None:
        """Note the zeros to hold, and tell why steps are not captured as a CUDA graph, if the recipe requests it."""
        if self.recipe.keep_zeros:
            self._zeros = HeldZeros(self.network)
        if self.recipe.cuda_graph:
            why = obstacle(self.device, self.horizon.micro_batches, self.ranks.count)
            self._captures = why is None
            if why is not None:
                log.warning("training.cuda_graph has no effect: %s", why)

    def on_fit_end(self) -> None:
        """Free the memory of a captured step."""
        self._graphed = None

    def _graphed_step(self, optimizer: torch.optim.Optimizer) -> GraphedStep | None:
        """Return the step of all epochs as a CUDA graph, if the recipe requests it and it can be captured."""
        if self._captures and self._graphed is None:
            self._graphed = GraphedStep(
                lambda images, labels: self._take(optimizer, (images, labels, 1.0), 0), self._generators
            )
        return self._graphed

    def _generators(self) -> Sequence[torch.Generator]:
        return self.network.generators.each if isinstance(self.network, PackedNetwork) else ()

    def _loss(self, part: MicroBatch, index: int, weight: float) -> Tensor:
        """Return the weighted loss of a micro-batch, summed over the members.

        Args:
            part: the micro-batch.
            index: its number in the epoch.
            weight: of its mean loss, so that a step follows the mean loss of the whole batch, even if sizes differ.
        """
        images, labels, share = part
        self._scale_norm_momenta(index % self.horizon.micro_batches)
        output = self._forward(images.contiguous(memory_format=torch.channels_last))
        losses = training_loss(output, labels, self.recipe.label_smoothing, self.class_weights)
        self._train_loss += losses.detach() if share == 1 else share * losses.detach()
        loss = losses if self.members == 1 else losses.sum()
        return loss if weight == 1 else weight * loss

    def _forward(self, images: Tensor) -> Any:
        return self.network(images) if self._compiled is None else self._compiled(images)

    def _look(self, index: int) -> None:
        """Look at the loss now and then, so that a training that has diverged ends soon."""
        if index % STEPS_BETWEEN_CHECKS == STEPS_BETWEEN_CHECKS - 1:
            self._watch.look(self._train_loss)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Set the learning rate of the step, where Lightning takes it."""
        self._set_learning_rate(optimizer)

    def _set_learning_rate(self, optimizer: torch.optim.Optimizer) -> None:
        step = self.horizon.first_step + self._steps
        factor = learning_rate_factor(step, self.horizon.total_steps, self.recipe)
        for group, peak in zip(optimizer.param_groups, self._peaks, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(factor * peak)
            else:
                group["lr"] = factor * peak

    def _clip(self, optimizer: torch.optim.Optimizer, scaler: Any) -> None:
        if self.recipe.gradient_clip is None:
            return
        if scaler is not None:
            scaler.unscale_(optimizer)
        clip_gradients(self.network.parameters(), self.recipe.gradient_clip, self.members)

    def _scale_norm_momenta(self, part: int) -> None:
        """Set the momenta of batch norms so that all micro-batches update running statistics like one whole batch."""
        parts = self.horizon.micro_batches
        if parts > 1:
            for norm, momentum in self._momenta.items():
                norm.momentum = None if momentum is None else micro_batch_momentum(momentum, part, parts)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Update the weight average after each step that Lightning took."""
        if self.automatic_optimization and (batch_idx + 1) % self.horizon.micro_batches == 0:
            self._after_step()

    def _after_step(self) -> None:
        self._steps += 1
        if self._zeros is not None:
            self._zeros.hold()
        if self.average is not None:
            self.average.update()

    def on_validation_epoch_start(self) -> None:
        """Reset the scores, average the batch norms' running statistics over the ranks, and fold them.

        Each rank's statistics follow its own micro-batches. They are linear in the statistics of the batches, so one
        mean an epoch equals a mean over all micro-batches at every step.
        """
        networks = [self.network] if self.average is None else [self.network, self.average.module]
        self.ranks.average(b for network in networks for b in network.buffers() if b.is_floating_point())
        self.validates = self.must_validate()
        if self.validates:
            self._folded = self._folded or FoldedNetwork(networks[-1])
            self._folded.refresh()
        self._val_loss = torch.zeros(self.members, device=self.device)
        self.confusion.reset()

    def validation_step(self, batch: Iterator[Batch], batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        """Add the whole validation part to the scores, of the averaged network if there is one."""
        if not self.validates:
            return
        network = self._folded
        assert network is not None
        for images, labels in batch:
            given = images.contiguous(memory_format=torch.channels_last)
            logits = network(given)[:, None] if self.members == 1 else network(pack_images([given] * self.members))
            self._val_loss += validation_loss(logits, labels)
            self.confusion.update(logits, labels)

    def scores(self) -> list[Scores]:
        """Return the scores of the epoch, of each member; losses may be infinite or not a number.

        Those of the validation part are None if the epoch was not validated.
        """
        train_losses, val_losses = self.ranks.total(torch.stack((self._train_loss, self._val_loss))).tolist()
        means = [loss / self.horizon.steps_per_epoch for loss in train_losses]
        if not self.validates:
            return [Scores(loss, None, None, None) for loss in means]
        confusion = self.ranks.total(self.confusion.compute()).cpu()
        return [
            Scores(mean, val_loss / int(matrix.sum()), *accuracies(matrix))
            for mean, val_loss, matrix in zip(means, val_losses, confusion, strict=True)
        ]
