"""Runner that trains a network in full and then measures it on the test part, once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from nas.config.commands.networks import TRAIN, WHOLE
from nas.data import DataError, DataSpec, evaluation_loader, load_test
from nas.evaluation.averaged import HandedOver, better_weights
from nas.evaluation.measurement import measure
from nas.evaluation.retrain.files import SEED_FILE, finished_result
from nas.evaluation.trial_runner import TrialRunner, validation_batch
from nas.jobs import Control, Failure, FailureKind, Job, Outcome
from nas.jobs.files import write_json
from nas.training.checkpoint_file import CheckpointError
from nas.training.restore import restore_network


@dataclass(frozen=True)
class RetrainRunner:
    """Runner of the jobs of a retraining.

    It reads the test part once for each network and seed: a measurement that is on disk is not repeated.

    Attributes:
        trial: runner that trains as in a search.
    """

    trial: TrialRunner

    @property
    def images(self) -> DataSpec:
        """The images that it reads."""
        return self.trial.data

    def with_images_in(self, folder: Path) -> RetrainRunner:
        """Return the same runner for a machine with the decoded images in `folder`."""
        return replace(self, trial=self.trial.with_images_in(folder))

    def __call__(self, job: Job, control: Control) -> Outcome:
        """Run `job`; write `result.json` into the folder of each training that is then complete."""
        outcome = self.trial(job, control)
        first, *others = [self._measured(each) for each in outcome.members]
        return replace(first, job=job, pack=tuple(others))

    def _measured(self, outcome: Outcome) -> Outcome:
        job = outcome.job
        ended = outcome.failure is None and outcome.epoch == self.trial.recipe.epochs
        if not ended or outcome.checkpoint is None or finished_result(job.folder) is not None:
            return outcome
        try:
            write_json(job.folder / SEED_FILE, self._result(outcome, outcome.checkpoint))
        except DataError as error:
            return Outcome(job, outcome.curve, outcome.checkpoint, Failure(FailureKind.DATA, str(error)))
        except CheckpointError as error:
            return Outcome(job, outcome.curve, outcome.checkpoint, Failure(FailureKind.CHECKPOINT, str(error)))
        return outcome

    def _result(self, outcome: Outcome, checkpoint: Path) -> dict[str, Any]:
        """Return the result of one seed; the test part is normalised like the training part.

        After a training on the validation part too, no unseen image tells an average of the weights from the last ones,
        so the average is taken, as the recipe says, and there are no validation scores.
        """
        device = self.trial.device
        images, test = self.trial.read(), load_test(self.trial.data)
        batch = validation_batch(images.shape, self.trial.recipe.batch_size, device)
        if self.trial.whole:
            found = HandedOver(restore_network(checkpoint, outcome.job.architecture), {})
        else:
            validation = partial(evaluation_loader, images, batch, device=device)
            found = better_weights(checkpoint, outcome.job.architecture, validation, device)
        trained = found.trained
        loader = evaluation_loader(images, batch, part=test, device=device)
        return {
            "seed": outcome.job.seed,
            "train_on": WHOLE if self.trial.whole else TRAIN,
            "epochs": outcome.epoch,
            "seconds": outcome.seconds,
            "checkpoint": checkpoint.name,
            "micro_batches": outcome.job.micro_batches,
            "weights": "average" if trained.averaged else "network",
            **self._validation_scores(outcome, found),
            **measure(trained.network.to(device), loader),
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        }

    def _validation_scores(self, outcome: Outcome, found: HandedOver) -> dict[str, float | None]:
        """Return the scores on the validation part; none where it was trained on."""
        if self.trial.whole:
            return {}
        last = outcome.curve[-1]
        scores = {"val_accuracy": last.val_accuracy, "val_balanced_accuracy": last.val_balanced_accuracy}
        return {**scores, **found.scores}
