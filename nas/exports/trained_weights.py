"""Choice of the checkpoint that a trial is exported from: of the best retrained seed, or of the search."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from nas.config.commands.networks import WHOLE
from nas.data import DataSpec, evaluation_loader, load, whole_statistics
from nas.evaluation.averaged import better_weights
from nas.evaluation.retrain.files import FOLDER as RETRAIN
from nas.evaluation.retrain.files import TRIAL_FILE, best_result, is_checkpoint, seed_folder, seed_results, trial_folder
from nas.evaluation.retrain.preference import difference_interval, prefers_search, search_accuracy
from nas.evaluation.retrain.results import average_line, mean_and_sd
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
        whole: whether it was trained on the validation part too.
        results: results of all measured seeds of the trial's retraining.
    """

    trained: TrainedNetwork
    checkpoint: Path
    origin: Mapping[str, Any]
    train_fraction: float | None = None
    whole: bool = False
    results: Sequence[Mapping[str, Any]] = ()


def choose_checkpoint(study: Study, record: Record, wanted: str = "best") -> ChosenCheckpoint:
    """Return the checkpoint of a trial to export; say which it is if there are several, and if it is not the best.

    Args:
        study: the study.
        record: its trial.
        wanted: `retrain` takes the retrained seed of the highest validation accuracy, or the first one if they were
            trained on the validation part too, a number that seed, `search` the search's own training; `best` takes the
            retrained one unless the search's is better beyond the 95 % interval of their difference.

    Raises:
        ValueError: there is no such checkpoint that can be read; the message has the command that makes one.
    """
    results = seed_results(trial_folder(study.folder, record.number))
    chosen = _wanted_seed(study, record, results, wanted)
    found = _searched(study, record) if chosen is None else _retrained(study, record, chosen)
    if line := _comparison(study, record, results, found.origin):
        log.info("%s", line)
    return replace(found, results=results)


def _wanted_seed(
    study: Study, record: Record, results: Sequence[Mapping[str, Any]], wanted: str
) -> Mapping[str, Any] | None:
    """Return the result of the retrained seed to export, None for the search's training."""
    if wanted.isdecimal():
        seeds = [result["seed"] for result in results]
        if int(wanted) not in seeds:
            have = ", ".join(map(str, seeds)) or "none"
            raise ValueError(
                f"weights must be best, search, retrain or a retrained seed of trial {record.number} ({have}), "
                f"got {wanted}"
            )
        return results[seeds.index(int(wanted))]
    if wanted == "search":
        return None
    best = best_result(results)
    if wanted == "retrain" and best is None:
        raise ValueError(
            f"weights=retrain needs a retrained seed of trial {record.number}: "
            f"nas retrain {study.overrides} pick={record.number}"
        )
    return None if wanted == "best" and prefers_search(study, record, results) else best


def _comparison(
    study: Study, record: Record, results: Sequence[Mapping[str, Any]], origin: Mapping[str, Any]
) -> str | None:
    """Return a line on the weights that are exported and on the others; None where there is no choice."""
    searched = search_accuracy(study, record)
    if any(result.get("train_on") == WHOLE for result in results):
        return _whole_comparison(record, results, origin, searched)
    others = {f"seed {result['seed']} of the retraining": result["val_accuracy"] for result in results}
    if searched is not None:
        others["the search"] = searched
    name = "the search" if origin["from"] == "search" else f"seed {origin['seed']} of the retraining"
    own = others.pop(name, None)
    if not others or own is None:
        return None
    best, top = max(others.items(), key=lambda pair: pair[1])
    line = f"trial {record.number}: weights of {name}, validation accuracy {own:.4f}; of {best} {top:.4f}"
    if top - own > difference_interval(top, own, study.attribute("validation_images")):
        line += "; these are worse by more than the 95 % interval: weights=best takes the better ones"
    return line


def _whole_comparison(
    record: Record, results: Sequence[Mapping[str, Any]], origin: Mapping[str, Any], searched: float | None
) -> str:
    """Return the line on the exported weights where those of the retraining have no validation accuracy."""
    tested = mean_and_sd([result["test_accuracy"] for result in results])
    name = "the search" if origin["from"] == "search" else f"seed {origin['seed']} of the retraining"
    of_search = "" if searched is None else f"; validation accuracy in the search {searched:.4f}"
    return (
        f"trial {record.number}: weights of {name}; the retraining was on the validation images too, so that no unseen "
        f"ones tell its seeds apart: mean test accuracy {tested['mean']:.4f} (n = {tested['n']}){of_search}"
    )


def data_of(chosen: ChosenCheckpoint, spec: DataSpec) -> DataSpec:
    """Return the images of a study with the mean and deviation of those that the weights were trained on.

    Args:
        chosen: the checkpoint.
        spec: the study's images.
    """
    if chosen.train_fraction is not None:
        spec = replace(spec, train_fraction=chosen.train_fraction)
    if not chosen.whole:
        return spec
    mean, std = whole_statistics(spec)
    return replace(spec, mean=mean, std=std)


def check_average(chosen: ChosenCheckpoint, record: Record, spec: DataSpec) -> ChosenCheckpoint:
    """Return the checkpoint with its averaged weights, or with the last ones if the average is clearly worse.

    Args:
        chosen: the checkpoint.
        record: its trial.
        spec: the images, of `data_of`. At most `CHECKED` of the validation images are read, none where the weights were
            trained on these: the average is kept then.
    """
    if chosen.whole or not chosen.trained.averaged:
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


def _retrained(study: Study, record: Record, result: Mapping[str, Any]) -> ChosenCheckpoint:
    folder = seed_folder(trial_folder(study.folder, record.number), result["seed"])
    if not is_checkpoint(result["checkpoint"]):
        raise ValueError(
            f"a retrained network must name a checkpoint of its folder, {folder} names {result['checkpoint']!r}"
        )
    checkpoint = stored_file(study.folder, str((folder / result["checkpoint"]).relative_to(study.folder)))
    settings = read_json(trial_folder(study.folder, record.number) / TRIAL_FILE) or {}
    trained = _read(study, record, checkpoint, averaged=result.get("weights") != "network")
    origin = {"from": "retrain", **result, "checkpoint": _relative(study, checkpoint)}
    fraction, whole = settings.get("data", {}).get("train_fraction"), result.get("train_on") == WHOLE
    return ChosenCheckpoint(trained, checkpoint, origin, fraction, whole)


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
