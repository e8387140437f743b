"""Checkpoints: the complete state of a training at an epoch's end, in a file that is read without running code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from torch import Tensor

from nas.config.training import Recipe
from nas.jobs import Curve, Job
from nas.jobs.files import atomic_path
from nas.training.checkpoint_file import (
    CheckpointError,
    curve_of,
    numbers_of,
    optimizer_of,
    read_content,
    tensors_listed,
    tensors_of,
    texts_of,
    write_content,
)
from nas.training.checkpoint_folder import Place
from nas.training.flat_tensors import FlatTensors

FORMAT = 2
"""Version of the file's content that is written."""

READABLE = (1, FORMAT)
"""Versions of the file's content that are read; others are refused."""

PRECISION = "precision"
"""Key of an identity: the precision of a training for which it was chosen by the device."""


@dataclass(frozen=True, eq=False)
class TrainingState:
    """State of a training between two steps.

    Random state and learning rate are not in it: the randomness of an epoch follows from the job's seed and the epoch's
    number, and the learning rate from the step.

    Attributes:
        network: the network's state dict.
        optimizer: the optimizer's state, by index of the parameter.
        average: state dict of the averaged network, None without weight averaging.
        precision: state of the gradient scaler, empty without one.
    """

    network: dict[str, Tensor]
    optimizer: dict[int, dict[str, Any]]
    average: dict[str, Tensor] | None
    precision: dict[str, Any]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """State of a training at the end of an epoch.

    Attributes:
        identity: identity of the training, by `training_identity`.
        state: the training's state.
        curve: the learning curve so far, from epoch 1.
    """

    identity: Mapping[str, str]
    state: TrainingState
    curve: Curve

    @property
    def epoch(self) -> int:
        """Number of epochs trained."""
        return len(self.curve)


def training_identity(job: Job, recipe: Recipe, steps_per_epoch: int) -> dict[str, str]:
    """Return what identifies a training; a checkpoint of another identity must not be resumed from."""
    return {
        "architecture": json.dumps(dict(job.architecture), sort_keys=True),
        "recipe": json.dumps(recipe.settings(), sort_keys=True),
        "seed": str(job.seed),
        "steps per epoch": str(steps_per_epoch),
        "parent": "" if job.parent is None else f"trial {job.parent.trial}, {job.parent.skips} epochs skipped",
    }


@final
class Snapshot:
    """Copy of a training's state in memory, of which a checkpoint is written while the training goes on."""

    def __init__(self) -> None:
        self._flat: FlatTensors | None = None
        self._state: dict[str, Any] = {}

    def take(self, state: TrainingState) -> None:
        """Copy a state in place of the last one."""
        self._state, tensors = tensors_listed(vars(state))
        if self._flat is None or not self._flat.fits(tensors):
            self._flat = FlatTensors(tensors)
        self._flat.copy(tensors)

    def save(self, identity: Mapping[str, str], curve: Curve, place: Place) -> Path:
        """Write the state, with the curve up to its epoch, into a folder atomically; then remove what it supersedes."""
        assert self._flat is not None
        place.folder.mkdir(parents=True, exist_ok=True)
        path = place.folder / f"attempt{place.attempt}-epoch{len(curve):03d}.pt"
        document = {"format": FORMAT, "identity": dict(identity), **self._state}
        document["curve"] = [row.to_json() for row in curve]
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            write_content(file, document, self._flat)
        place.remove_superseded(len(curve))
        return path


def save(checkpoint: Checkpoint, folder: Path, attempt: int) -> Path:
    """Write `checkpoint` into `folder` as a `Snapshot` does."""
    snapshot = Snapshot()
    snapshot.take(checkpoint.state)
    return snapshot.save(checkpoint.identity, checkpoint.curve, Place(folder, attempt))


def load(path: Path, expected: Mapping[str, str]) -> Checkpoint:
    """Read the checkpoint of a training onto the CPU, without running code from the file.

    Args:
        path: the file.
        expected: identity of the training that is resumed, by `training_identity`; empty accepts any.

    Raises:
        CheckpointError: the file is absent, damaged, of another format, holds more than plain values and tensors, or
            belongs to another training.
    """
    content = read_content(path)
    version = content.get("format")
    if type(version) is not int or version not in READABLE:
        raise CheckpointError(f"a checkpoint must have format 1 or {FORMAT}, got {str(version)[:60]} in {path}")
    try:
        found = Checkpoint(
            identity=texts_of(content["identity"], "identity"),
            state=TrainingState(
                network=tensors_of(content["network"], "network"),
                optimizer=optimizer_of(content["optimizer"]),
                average=None if content["average"] is None else tensors_of(content["average"], "average"),
                precision=numbers_of(content["precision"], "precision"),
            ),
            curve=curve_of(content["curve"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"a checkpoint must hold a complete training state, got {error!r} in {path}") from error
    for key, value in expected.items():
        if found.identity.get(key, "") != value:  # checkpoints of older versions have no parent
            raise CheckpointError(
                f"a checkpoint must be of the training that is resumed; {key} differs in {path}: "
                f"expected {value}, got {found.identity.get(key)}"
            )
    return found
