"""Choice of the checkpoint that a trial is exported from: the best retrained seed, or else that of the search."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from nas.data import DataSpec, evaluation_loader, load
from nas.evaluation.averaged import better_weights
from nas.evaluation.retrain.files import FOLDER as RETRAIN
from nas.evaluation.retrain.files import TRIAL_FILE, best_seed, is_checkpoint, trial_folder
from nas.evaluation.retrain.results import average_line
from nas.exports.subject import BATCH, evenly_spaced
from nas.jobs.files import read_json
from nas.jobs.links import stored_file
from nas.study.study import Study
from nas.study.summary import inherited
from nas.study.trial import Record, State
from nas.training.checkpoint_file import CheckpointError
from nas.training.restore import TrainedNetwork, restore_network

CHECKED = 2048
"""Largest number of validation images on which averaged weights are compared with the last ones."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ChosenCheckpoint:
    """Checkpoint that a trial is exported from.

    Attributes:
        trained: the network with its weights.
        checkpoint: their file.
        origin: the checkpoint's source and accuracies, for `checks.json`.
        train_fraction: share of the training part that it was trained on, in (0, 1]; None for the study's.
    """

    trained: TrainedNetwork
    checkpoint: Path
    origin: Mapping[str, Any]
    train_fraction: float | None = None


def choose_checkpoint(study: Study, record: Record) -> ChosenCheckpoint:
    """Return the retrained seed of the highest validation accuracy, or the checkpoint of the search if there is none.

    Raises:
        ValueError: there is no checkpoint that can be read; the message has the command that makes one.
    """
    return _retrained(study, record) or _searched(study, record)


def check_average(chosen: ChosenCheckpoint, record: Record, spec: DataSpec) -> ChosenCheckpoint:
    """Return the checkpoint with its averaged weights, or with the last ones if the average is clearly worse.

    Args:
        chosen: the checkpoint.
        record: its trial.
        spec: the images, with the training fraction that the weights were trained on. At most `CHECKED` of the
            validation images are read.
    """
    if not chosen.trained.averaged:
        return chosen
    data = load(replace(spec, streaming="always"))
    part = evenly_spaced(data.validation, CHECKED)
    batches = partial(evaluation_loader, data, BATCH, part=part)
    found = better_weights(chosen.checkpoint, record.candidate.architecture, batches)
    if found.trained.averaged:
        return chosen
    log.warning("%s", average_line(f"trial {record.number}", found.scores))
    origin = {**chosen.origin, "weights": "network", **found.scores, "val_images": len(part)}
    return replace(chosen, trained=found.trained, origin=origin)


def _retrained(study: Study, record: Record) -> ChosenCheckpoint | None:
    best = best_seed(study.folder, record.number)
    if best is None:
        return None
    folder, result = best
    if not is_checkpoint(result["checkpoint"]):
        raise ValueError(
            f"a retrained network must name a checkpoint of its folder, {folder} names {result['checkpoint']!r}"
        )
    checkpoint = stored_file(study.folder, str((folder / result["checkpoint"]).relative_to(study.folder)))
    settings = read_json(trial_folder(study.folder, record.number) / TRIAL_FILE) or {}
    trained = _read(study, record, checkpoint, averaged=result.get("weights") != "network")
    origin = {"from": "retrain", **result, "checkpoint": _relative(study, checkpoint)}
    return ChosenCheckpoint(trained, checkpoint, origin, settings.get("data", {}).get("train_fraction"))


def _searched(study: Study, record: Record) -> ChosenCheckpoint:
    named = record.training.checkpoint
    if record.candidate.imported:
        raise ValueError(
            f"the weights of trial {record.number} must lie in the study, it was trained elsewhere: "
            f"nas retrain {study.overrides} pick={record.number} trains it here"
        )
    if record.state != State.COMPLETE or named is None or not record.curve:
        raise ValueError(
            f"trial {record.number} must be trained in full to be exported, it is {record.state} after "
            f"{len(record.curve)} epochs: nas retrain {study.overrides} pick={record.number}"
        )
    checkpoint = stored_file(study.folder, named)
    trained = _read(study, record, checkpoint)
    last = record.curve[-1]
    origin = {
        "from": "search",
        "checkpoint": _relative(study, checkpoint),
        "seed": record.candidate.seed,
        "epochs": len(record.curve),
        "weights": "average" if trained.averaged else "network",
        "val_accuracy": last.val_accuracy,
        "val_balanced_accuracy": last.val_balanced_accuracy,
        **inherited(record),
    }
    if record.repeats:  # the weights are of the first training, the trial's values are means over all
        origin |= {"trainings": record.trainings, "mean_values": dict(record.values or {})}
    return ChosenCheckpoint(trained, checkpoint, origin)


def _read(study: Study, record: Record, checkpoint: Path, *, averaged: bool = True) -> TrainedNetwork:
    if not checkpoint.is_file():
        raise ValueError(
            f"the weights of trial {record.number} must lie in {checkpoint}, they are gone: "
            f"nas retrain {study.overrides} pick={record.number} trains it again"
        )
    try:
        return restore_network(checkpoint, record.candidate.architecture, averaged=averaged)
    except CheckpointError as error:
        # One of a retraining counts as long as it is there; the other way round, a retraining comes before the search.
        first = "remove the file and " if checkpoint.is_relative_to(study.folder / RETRAIN) else ""
        again = f"{first}train it again: nas retrain {study.overrides} pick={record.number}"
        raise ValueError(f"{error}; {again}") from error


def _relative(study: Study, checkpoint: Path) -> str:
    return checkpoint.relative_to(study.folder).as_posix()
