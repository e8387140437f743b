"""Training of pruned networks of a study, by its recipe on its images."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from nas.cli.common.signals import CODES, stop_on_signals
from nas.config.pruning import PruningSpec
from nas.config.training import Recipe
from nas.config.workers import WorkersSpec
from nas.data import DataInfo, DataSpec
from nas.evaluation.deferred_runner import DeferredRunner
from nas.evaluation.pruned_task import PrunedTask
from nas.evaluation.training_list import Rules, TrainingList
from nas.jobs.hashes import content_hash
from nas.jobs.links import refuse_links
from nas.search.executors import allocation_of, executor_for, resolved_data
from nas.search.fingerprint import study_recipe
from nas.study.storage.folder_lock import FolderLock
from nas.study.study import Study
from nas.training.checkpoint_folder import by_epoch
from nas.training.weights_file import located

FOLDER, START = "pruned", "start.safetensors"
ORIGIN = "nas.evaluation.finetune.origin:Origin"
RESTORE = "nas.training.restore:restore_network"
"""Places in modules that take seconds to import, as they load torch."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class PrunedTrainings:
    """Trainings after removals, in the study's folder; one that is done is not repeated.

    Attributes:
        study: the study.
        spec: what is removed, and how long it is trained afterwards.
        data: the study's images.
        info: shape, classes and sizes of them.
        workers: the worker processes and their devices.
    """

    study: Study
    spec: PruningSpec
    data: DataSpec
    info: DataInfo
    workers: WorkersSpec

    def of(self, trial: int) -> _TrialTraining:
        """Return the training of a trial's network."""
        return _TrialTraining(self, trial)

    def recipe(self, start: Path) -> Recipe:
        """Return the study's recipe for the training from a file of weights."""
        recipe = study_recipe(self.study)
        return located(
            replace(
                recipe,
                epochs=self.spec.epochs,
                learning_rate=self.spec.learning_rate * recipe.learning_rate,
                weights=str(start),
                weights_sha256=None,
                head_epochs=0,
                backbone_learning_rate=1.0,
                progressive_resize=None,
                keep_zeros=not self.spec.smaller,
            )
        )


@dataclass(frozen=True, eq=False)
class _TrialTraining:
    """Training of one trial's network after a removal."""

    tuning: PrunedTrainings
    trial: int

    def __call__(self, document: Mapping[str, Any], state: Mapping[str, Any], classes: tuple[str, ...]) -> Any:
        """Return the weights after the training; see `nas.exports.sparse.pruner.Tune`.

        Raises:
            ValueError: the training failed in every attempt.
            SystemExit: it was stopped; the same command goes on.
        """
        tuning = self.tuning
        root = tuning.study.folder / FOLDER
        start, folder = self._start(root, document, state, classes)
        recipe = tuning.recipe(start)
        task = PrunedTask(self.trial, document, folder, recipe.epochs, allocation_of(recipe, tuning.workers)(document))
        data = resolved_data(tuning.data, tuning.info, tuning.workers)
        with FolderLock(root):
            training = TrainingList(
                executor_for(DeferredRunner(data, recipe, tuning.workers.threads_per_slot), tuning.workers),
                [task],
                Rules(recipe.epochs, tuning.workers.retries),
                epochs=by_epoch,
            )
            with stop_on_signals(training):
                reason = training.run()
        if reason in CODES:
            sys.stderr.write("Stopped; the same command resumes\n")
            raise SystemExit(CODES[reason])
        if task.folder in training.failures:
            failure = training.failures[task.folder]
            raise ValueError(
                f"the training of the pruned network must end, it failed ({failure.kind}): {failure.message}"
            )
        return resolve_name(RESTORE)(by_epoch(folder)[recipe.epochs], document).network.state_dict()

    def _start(
        self, root: Path, document: Mapping[str, Any], state: Mapping[str, Any], classes: tuple[str, ...]
    ) -> tuple[Path, Path]:
        """Write the file that the training starts from, and return it and the training's folder, named by all it is."""
        spec = json.dumps([asdict(self.tuning.spec), dict(document)], sort_keys=True)
        parts = [spec.encode(), *(state[name].contiguous().numpy().tobytes() for name in sorted(state))]
        folder = root / str(self.trial) / content_hash(parts)[:12]
        refuse_links(self.tuning.study.folder, folder)
        folder.mkdir(parents=True, exist_ok=True)
        origin = resolve_name(ORIGIN)("pruned", dict(document), dict(state), classes, (), (), "")
        origin.write_start(folder / START)
        return folder / START, folder
