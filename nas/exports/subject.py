"""From a picked trial to what is handed over: its best weights, its preprocessing, and images to check it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas.data import DataSpec, ImageData, ImageSet, Part, load, plain_loader
from nas.evaluation.retrain.files import TRIAL_FILE, trial_folder
from nas.evaluation.retrain.results import best_seed
from nas.exports import Subject
from nas.jobs.files import read_json
from nas.study.study import Study
from nas.study.summary import inherited
from nas.study.trial import Record
from nas.training.checkpoint import CheckpointError
from nas.training.restore import Trained, read_trained
from search_space.architecture import Architecture
from search_space.lowering import lower

BATCH = 256
RESIZE = (
    "decode a JPEG at a half, a quarter or an eighth where that leaves three times the input's size (Image.draft); "
    "turn as EXIF says; take the higher byte of 16-bit grey; lay transparency over white; convert to grey (Pillow mode "
    "L) for 1 channel, else to RGB; crop the middle to the input's proportions and resize it with Pillow's Lanczos "
    "filter (ImageOps.fit) where the size differs; divide by 255, subtract mean, divide by std"
)


@dataclass(frozen=True)
class Weights:
    """The weights of a trial that are handed over.

    Attributes:
        trained: the network with them.
        origin: where they come from and how good they are, for `checks.json`.
        train_fraction: share of the training part that they were trained on; None for the study's.
    """

    trained: Trained
    origin: Mapping[str, Any]
    train_fraction: float | None = None


def newest_weights(study: Study, record: Record) -> Weights:
    """The weights of the retrained seed that validates best, or else those of the search.

    Raises:
        ValueError: there are none that can be read; the message says how to get some.
    """
    try:
        return _retrained(study, record) or _searched(study, record)
    except CheckpointError as error:
        again = f"nas retrain {study.words} pick={record.number}"
        raise ValueError(f"{error}; remove the file and train it again: {again}") from error


def _retrained(study: Study, record: Record) -> Weights | None:
    best = best_seed(study.folder, record.number)
    if best is None:
        return None
    folder, result = best
    checkpoint = folder / str(result["checkpoint"])
    settings = read_json(trial_folder(study.folder, record.number) / TRIAL_FILE) or {}
    trained = _read(study, record, checkpoint)
    origin = {"from": "retrain", **result, "checkpoint": _inside(study, checkpoint)}
    return Weights(trained, origin, settings.get("data", {}).get("train_fraction"))


def _searched(study: Study, record: Record) -> Weights:
    named = record.training.get("checkpoint")
    if record.state != "complete" or named is None:
        raise ValueError(
            f"trial {record.number} must be trained in full to be handed over, it is {record.state} after "
            f"{len(record.curve)} epochs: nas retrain {study.words} pick={record.number}"
        )
    checkpoint = study.folder / str(named)
    trained = _read(study, record, checkpoint)
    last = record.curve[-1]
    origin = {
        "from": "search",
        "checkpoint": _inside(study, checkpoint),
        "seed": record.candidate.seed,
        "epochs": len(record.curve),
        "weights": "average" if trained.averaged else "network",
        "val_accuracy": last.val_accuracy,
        "val_balanced_accuracy": last.val_balanced_accuracy,
        **inherited(record),
    }
    if record.repeats:  # the weights are those of its own training, its values the means over all
        origin |= {"trainings": record.trainings, "mean_values": dict(record.values or {})}
    return Weights(trained, origin)


def _read(study: Study, record: Record, checkpoint: Path) -> Trained:
    if not checkpoint.is_file():
        raise ValueError(
            f"the weights of trial {record.number} must lie in {checkpoint}, they are gone: "
            f"nas retrain {study.words} pick={record.number} trains it again"
        )
    return read_trained(checkpoint, record.candidate.architecture)


def _inside(study: Study, checkpoint: Path) -> str:
    return checkpoint.relative_to(study.folder).as_posix()


def subject_of(record: Record, trained: Trained, spec: DataSpec, images: int) -> Subject:
    """What the exports are given.

    Args:
        record: the trial.
        trained: its network.
        spec: the images, with the share to train on that the weights were trained on.
        images: validation images to check on, at most; spread evenly over the validation part.
    """
    data = load(replace(spec, streaming="always"))  # a few images are looked at, whatever the set's size
    sample = evenly(data.validation, images)
    architecture = dict(record.candidate.architecture)
    return Subject(
        architecture=architecture,
        graph=lower(Architecture.from_json(architecture)),
        network=trained.network,
        preprocessing=preprocessing(data),
        pixels=sample.images.numpy(),
        logits=_logits(trained, data, sample),
    )


def preprocessing(data: ImageData) -> dict[str, Any]:
    """How a picture becomes an input of the network, as `preprocessing.json` says it."""
    channels, height, width = data.shape
    return {
        "channels": channels,
        "height": height,
        "width": width,
        "mean": list(data.mean),
        "std": list(data.std),
        "classes": list(data.classes),
        "rule": RESIZE,
    }


def evenly(part: Part, count: int) -> ImageSet:
    """At most `count` images, spread evenly over a part."""
    rows = np.unique(np.linspace(0, len(part) - 1, min(count, len(part))).round().astype(np.int64))
    return part.take(rows)


def _logits(trained: Trained, data: ImageData, sample: ImageSet) -> Any:
    with torch.inference_mode():
        batches = [trained.network(images) for images, _ in plain_loader(data, BATCH, part=sample)]
    return torch.cat(batches).numpy()
