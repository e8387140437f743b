"""Files of fitted latency models: one JSON file a device, circumstances and space, in the folder of cached files."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nas.config.ranges import Count, check_fields
from nas.jobs.cache_folder import cache_folder
from nas.jobs.files import write_text
from nas.objectives.latency.machine import this_machine
from nas.objectives.latency.model import LatencyModel
from search_space.space import Space

FOLDER = "latency"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LatencyOptions:
    """Circumstances of the latency that is predicted: options of an objective `latency_ms`.

    Attributes:
        runtime: runtime of the inference, as of `nas measure`.
        batch: images of one inference, at least 1.
        threads: threads of the inference, at least 1.
        precision: precision of the inference.
        device: `cpu` or `cuda`, of this machine.
        model: file of a fitted model, of another device for example; empty for this device's own.

    Raises:
        ValueError: a value out of range.
    """

    runtime: str = "torch"
    batch: Count = 1
    threads: Count = 1
    precision: str = "float32"
    device: str = "cpu"
    model: str = ""

    def __post_init__(self) -> None:
        check_fields(self, "options of latency_ms")

    @property
    def single_thread(self) -> bool:
        """True if an inference keeps to one thread, so that its processor time is its latency undisturbed."""
        return self.device == "cpu" and self.threads == 1

    @property
    def circumstances(self) -> dict[str, Any]:
        """Circumstances as a model's file has them."""
        return {name: value for name, value in asdict(self).items() if name != "model"}


def models_folder() -> Path:
    """Return the folder of fitted models: `latency` in $NAS_CACHE_DIR, or else in the user's cache folder."""
    return cache_folder() / FOLDER


def space_identity(space: Space) -> dict[str, Any]:
    """Return input, name and hash of a space, as a model's file has them."""
    text = json.dumps([str(replace(space, intent=None)), list(space.input), space.classes])
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return {"input": list(space.input), "space": space.name, "hash": digest}


def file_of(device: Mapping[str, str], circumstances: Mapping[str, Any], space: Mapping[str, Any]) -> Path:
    """Return the place of the model of a device in these circumstances for a space."""
    text = json.dumps([dict(device), dict(circumstances), dict(space)], sort_keys=True)
    return models_folder() / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def save(model: LatencyModel) -> Path:
    """Write a model to its place, and return that."""
    path = file_of(model.device, model.circumstances, model.fitted_on)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(model.to_json(), indent=1) + "\n")
    return path


def read(path: Path) -> LatencyModel:
    """Return the model of a file.

    Raises:
        ValueError: there is no such file, or it is none of a model.
    """
    try:
        document = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"a latency model must be a readable JSON file, got {path}: {error}") from error
    return LatencyModel.from_json(document)


def find(options: LatencyOptions, space: Space) -> LatencyModel:
    """Return the model of this device, or of the file that is named, for a space.

    Raises:
        ValueError: there is none; the message says with which command one is fitted.
    """
    if options.model:
        return _of_input(read(Path(options.model).expanduser()), space, options.model)
    wanted, machine = space_identity(space), this_machine(options.device)
    path = file_of(machine, options.circumstances, wanted)
    if path.is_file():
        return read(path)
    for model in _fitted_here(options, machine):
        if model.fitted_on.get("input") == wanted["input"]:
            log.info("latency is predicted by the model of space %s", model.fitted_on.get("space"))
            return model
    given = {name: value for name, value in options.circumstances.items() if value != getattr(LatencyOptions, name)}
    words = "".join(f" {name}={value}" for name, value in given.items())
    raise ValueError(
        f"latency_ms needs a model fitted on this device for {space.input} images, there is none: "
        f"nas measure fit=true space={space.name}{words}, with the same data=, fits one"
    )


def fitted_for(shape: Sequence[int], folder: Path | None = None) -> list[LatencyModel]:
    """Return the models of this machine's devices for images of a shape, the newest of each circumstances.

    Args:
        shape: (C, H, W).
        folder: folder of the models; None for the usual one.
    """
    found: dict[str, LatencyModel] = {}
    for model in _models(folder or models_folder()):
        here = dict(model.device) == this_machine(str(model.circumstances.get("device")))
        if here and model.fitted_on.get("input") == list(shape):
            found.setdefault(json.dumps(dict(model.circumstances), sort_keys=True), model)
    return list(found.values())


def _of_input(model: LatencyModel, space: Space, name: str) -> LatencyModel:
    fitted = model.fitted_on.get("input")
    if fitted != list(space.input):
        raise ValueError(f"a latency model must be fitted on {space.input} images, {name} is on {fitted}")
    return model


def _fitted_here(options: LatencyOptions, machine: Mapping[str, str]) -> Iterator[LatencyModel]:
    """Yield the readable models of this device in these circumstances, newest first."""
    for model in _models(models_folder()):
        if model.device == machine and model.circumstances == options.circumstances:
            yield model


def _models(folder: Path) -> Iterator[LatencyModel]:
    """Yield the readable models of a folder, newest first."""
    paths = folder.glob("*.json") if folder.is_dir() else ()
    for path in sorted(paths, key=lambda found: -found.stat().st_mtime):
        try:
            yield read(path)
        except ValueError as error:
            log.warning("a latency model is left out: %s", error)
