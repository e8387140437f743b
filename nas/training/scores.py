"""Scores of an epoch: losses, and accuracies from counts of true and predicted classes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics import Metric

from nas.jobs import Epoch


class NotFiniteError(ArithmeticError):
    """A loss that is infinite or not a number."""


@dataclass(frozen=True)
class Scores:
    """Scores of an epoch, as in `nas.jobs.Epoch`."""

    train_loss: float
    val_loss: float | None
    val_accuracy: float | None
    val_balanced_accuracy: float | None

    def row(self, epoch: int, seconds: float) -> Epoch:
        """Return the row of a learning curve."""
        return Epoch(epoch=epoch, seconds=seconds, **vars(self))

    def check(self) -> None:
        """Check that the losses are finite.

        Raises:
            NotFiniteError: one is infinite or not a number.
        """
        check_finite(self.train_loss, "training")
        if self.val_loss is not None:
            check_finite(self.val_loss, "validation")


def check_finite(loss: float, part: str) -> None:
    """Check that a loss is finite.

    Raises:
        NotFiniteError: it is not; the message names `part` of the data.
    """
    if not math.isfinite(loss):
        raise NotFiniteError(f"the {part} loss must stay finite, got {loss}")


class FiniteWatch:
    """Watch over losses that stops a training soon after they are no longer finite, without waiting for the device.

    On a CUDA device a value is copied to the host beside the training, and looked at when the copy is there. A pack
    goes on as long as one of its members has a finite loss.
    """

    def __init__(self) -> None:
        self._copy: Tensor | None = None
        self._copied: torch.cuda.Event | None = None

    def look(self, losses: Tensor) -> None:
        """Look at losses (k,), or at earlier ones whose copy has arrived.

        Raises:
            NotFiniteError: none of them is finite.
        """
        if losses.device.type != "cuda":
            self._check(losses.tolist())
            return
        if self._copy is not None and self._copied is not None and self._copied.query():  # type: ignore[no-untyped-call]
            self._check(self._copy.tolist())
            self._copy = None
        if self._copy is None:
            self._copy = torch.empty(losses.shape, dtype=losses.dtype, pin_memory=True)
            self._copy.copy_(losses, non_blocking=True)
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record()

    @staticmethod
    def _check(losses: Iterable[float]) -> None:
        found = list(losses)
        if not any(math.isfinite(loss) for loss in found):
            check_finite(found[0], "training")


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
    counts = ConfusionMatrices(1, logits.shape[1]).to(logits.device)
    counts.update(logits[:, None], labels)
    matrix: Tensor = counts.compute()[0]
    return matrix


class ConfusionMatrices(Metric):
    """Confusion matrices (k, classes, classes) of the members of a pack; rows are true classes.

    The counts are added where they belong. torchmetrics' own metric uses `bincount`, which waits for the device to
    learn the size of its result.
    """

    full_state_update = False
    counts: Tensor

    def __init__(self, members: int, classes: int) -> None:
        super().__init__(sync_on_compute=False)
        self._classes = classes
        zeros = torch.zeros(members, classes, classes, dtype=torch.int64)
        self.add_state("counts", zeros, dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor) -> None:
        """Count logits (B, k, classes) and labels (B,)."""
        members = torch.arange(logits.shape[1], device=logits.device)
        cells = (members * self._classes + labels[:, None]) * self._classes + logits.argmax(dim=2)  # (B, k)
        flat = cells.flatten()
        self.counts.view(-1).index_add_(0, flat, torch.ones_like(flat))

    def compute(self) -> Tensor:
        """Return the counts."""
        return self.counts
