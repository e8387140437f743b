"""One file an epoch end: all that a training needs to go on, and nothing that runs code when it is read."""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.config.training import Recipe
from nas.jobs import Curve, Epoch, Job
from nas.jobs.files import atomic_path

FORMAT = 1
"""Version of the file's content; a reader refuses any other."""

_NAME = re.compile(r"attempt(\d+)-epoch(\d+)\.pt")
_PART = re.compile(r"\.attempt(\d+)-epoch(\d+)\.pt(?:\.\w+)?\.part")


class CheckpointError(ValueError):
    """A checkpoint can't be read, or belongs to another training."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training at the end of an epoch.

    All randomness of an epoch follows from the job's seed and the epoch's number, and the learning rate from the step,
    so neither stands here.

    Attributes:
        identity: what is trained, see `identity`.
        network: the network's state dict.
        optimizer: the optimizer's state, by parameter number.
        average: state dict of the averaged network, None without an average.
        precision: state of the loss scaling, empty without one.
        curve: the rows of all epochs so far, from epoch 1.
    """

    identity: Mapping[str, str]
    network: dict[str, Tensor]
    optimizer: dict[int, dict[str, Any]]
    average: dict[str, Tensor] | None
    precision: dict[str, Any]
    curve: Curve

    @property
    def epoch(self) -> int:
        """Epochs trained."""
        return len(self.curve)


def identity(job: Job, recipe: Recipe, steps_per_epoch: int) -> dict[str, str]:
    """What makes a training this one: a checkpoint of any other must not be taken up."""
    return {
        "architecture": json.dumps(dict(job.architecture), sort_keys=True),
        "recipe": json.dumps(asdict(recipe), sort_keys=True),
        "seed": str(job.seed),
        "steps per epoch": str(steps_per_epoch),
        "parent": "" if job.parent is None else f"trial {job.parent.trial}, {job.parent.skips} epochs skipped",
    }


def save(checkpoint: Checkpoint, folder: Path, attempt: int) -> Path:
    """Write `checkpoint` into `folder` and then remove the ones it supersedes.

    The file is complete before it bears its name, so that a process killed on the way leaves the last one whole.
    Superseded are earlier epochs of this attempt and everything of earlier attempts; a later attempt's are left alone,
    because then this process is a straggler.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"attempt{attempt}-epoch{checkpoint.epoch:03d}.pt"
    content = {
        "format": FORMAT,
        "identity": dict(checkpoint.identity),
        "network": checkpoint.network,
        "optimizer": checkpoint.optimizer,
        "average": checkpoint.average,
        "precision": checkpoint.precision,
        "curve": [row.to_json() for row in checkpoint.curve],
    }
    # An open file: given a path, torch would name the archive within after it.
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        torch.save(content, file)
    _remove_superseded(folder, attempt, checkpoint.epoch)
    return path


def latest(folder: Path) -> tuple[Path, int] | None:
    """The newest complete checkpoint in `folder` and its epoch, by name alone: highest epoch, then highest attempt."""
    found = [(int(match[2]), int(match[1]), path) for path, match in _named(folder, _NAME)]
    if not found:
        return None
    epoch, _, path = max(found)
    return path, epoch


def load(path: Path, expected: Mapping[str, str]) -> Checkpoint:
    """Read the checkpoint of the training `expected` onto the CPU, without running anything that it may contain.

    Args:
        path: the file.
        expected: what `identity` gives for the training that goes on.

    Raises:
        CheckpointError: if the file is absent, damaged, of another format, holds more than plain values and tensors,
            or belongs to another training.
    """
    content = _read(path)
    version = content.get("format")
    if version != FORMAT:
        raise CheckpointError(f"a checkpoint must have format {FORMAT}, got {version} in {path}")
    try:
        found = Checkpoint(
            identity=dict(content["identity"]),
            network=dict(content["network"]),
            optimizer=dict(content["optimizer"]),
            average=None if content["average"] is None else dict(content["average"]),
            precision=dict(content["precision"]),
            curve=tuple(Epoch.from_json(row) for row in content["curve"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"a checkpoint must hold a whole training state, got {error!r} in {path}") from error
    for key, value in expected.items():
        if found.identity.get(key, "") != value:  # those written before there were parents name none
            raise CheckpointError(
                f"a checkpoint must be of the training that goes on; {key} differs in {path}: "
                f"expected {value}, got {found.identity.get(key)}"
            )
    return found


def _read(path: Path) -> dict[str, Any]:
    try:
        # torch skips the archive's checksums when it reads; a flipped bit in a weight would go unseen.
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged is not None:
            raise CheckpointError(f"a checkpoint must be undamaged, got a wrong checksum of {damaged} in {path}")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"a checkpoint must hold plain values and tensors alone, got other objects in {path}"
        ) from error
    except (OSError, zipfile.BadZipFile, RuntimeError, EOFError, KeyError, ValueError, NotImplementedError) as error:
        if isinstance(error, CheckpointError):
            raise
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"a checkpoint must be a readable file, got {type(error).__name__}: {reason} ({path})"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"a checkpoint must be a mapping, got {type(content).__name__} in {path}")
    return content


def _remove_superseded(folder: Path, attempt: int, epoch: int) -> None:
    for pattern in (_NAME, _PART):
        for path, match in _named(folder, pattern):
            if int(match[1]) < attempt or (int(match[1]) == attempt and int(match[2]) < epoch):
                with suppress(FileNotFoundError):  # a straggler of an earlier attempt may have tidied up first
                    path.unlink()


def _named(folder: Path, pattern: re.Pattern[str]) -> list[tuple[Path, re.Match[str]]]:
    if not folder.is_dir():
        return []
    return [(path, match) for path in folder.iterdir() if (match := pattern.fullmatch(path.name))]
