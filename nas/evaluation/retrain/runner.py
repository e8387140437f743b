"""Trains a network in full and then measures it on the test part, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nas.data import DataError, DataSpec, load, load_test, plain_loader
from nas.evaluation.retrain.files import SEED_FILE, measured
from nas.evaluation.trial_runner import TrialRunner, validation_batch
from nas.jobs import Control, Failure, FailureKind, Job, Outcome
from nas.jobs.files import write_json
from nas.training.checkpoint import CheckpointError
from nas.training.module import accuracies
from nas.training.restore import read_trained


@dataclass(frozen=True)
class FullRunner:
    """Carries out the jobs of a retraining.

    The test part is read here alone, and for each network and seed once: a measurement that is on disk is not repeated.

    Attributes:
        trial: trains as a search does.
    """

    trial: TrialRunner

    @property
    def images(self) -> DataSpec:
        """The images that it reads."""
        return self.trial.data

    def reading(self, folder: Path) -> FullRunner:
        """The same runner on a machine that keeps the decoded images in `folder`."""
        return replace(self, trial=self.trial.reading(folder))

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job`; where it ends the training in full, leave `result.json` in its folder."""
        outcome = self.trial(job, control)
        ended = outcome.failure is None and outcome.epoch == self.trial.recipe.epochs
        if not ended or outcome.checkpoint is None or measured(job.folder) is not None:
            return outcome
        try:
            write_json(job.folder / SEED_FILE, self._measured(outcome, outcome.checkpoint))
        except DataError as error:
            return Outcome(job, outcome.curve, outcome.checkpoint, Failure(FailureKind.DATA, str(error)))
        except CheckpointError as error:
            return Outcome(job, outcome.curve, outcome.checkpoint, Failure(FailureKind.CHECKPOINT, str(error)))
        return outcome

    def _measured(self, outcome: Outcome, checkpoint: Path) -> dict[str, Any]:
        """What came of one seed; the test part is normalised like the training part was."""
        device = self.trial.device
        trained = read_trained(checkpoint, outcome.job.architecture)
        images, test = load(self.trial.data), load_test(self.trial.data)
        batch = validation_batch(images.shape, self.trial.recipe.batch_size, device)
        loader = plain_loader(images, batch, part=test, device=device)
        last = outcome.curve[-1]
        return {
            "seed": outcome.job.seed,
            "epochs": outcome.epoch,
            "seconds": outcome.seconds,
            "checkpoint": checkpoint.name,
            "micro_batches": outcome.job.micro_batches,
            "weights": "average" if trained.averaged else "network",
            "val_accuracy": last.val_accuracy,
            "val_balanced_accuracy": last.val_balanced_accuracy,
            **measure(trained.network.to(device), loader),
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        }


@torch.inference_mode()
def measure(network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """Scores on the test part, in float32: accuracy, balanced accuracy, mean cross-entropy, number of images.

    Args:
        network: in evaluation mode, on the device of the batches; images (B, C, H, W) to logits (B, classes).
        batches: every image once; at least one.
    """
    pairs = [(network(images.contiguous(memory_format=torch.channels_last)), labels) for images, labels in batches]
    logits, labels = (torch.cat(column).cpu() for column in zip(*pairs, strict=True))
    classes = logits.shape[1]
    confusion = torch.bincount(labels * classes + logits.argmax(dim=1), minlength=classes**2).reshape(classes, classes)
    accuracy, balanced_accuracy = accuracies(confusion)
    return {
        "test_accuracy": accuracy,
        "test_balanced_accuracy": balanced_accuracy,
        "test_loss": float(functional.cross_entropy(logits, labels)),
        "test_images": len(labels),
    }
