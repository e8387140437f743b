"""The wiring: from a checked configuration to the objects that a search is made of."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from nas.config.commands import SearchConfig
from nas.config.workers import RAY
from nas.data import DataInfo, DataSpec, describe
from nas.evaluation.trial_runner import TrialRunner
from nas.fidelity.policy import Inheriting
from nas.objectives.axes import axes_of
from nas.objectives.limits import Limits, check_reachable
from nas.objectives.step_memory import check_fits
from nas.objectives.values import costs_known, objective_values
from nas.search.driver import Search
from nas.search.executors import allocation_of, check_executor, executor_for, step_memory
from nas.search.parts import SearchParts
from nas.search.strategy import asking, policy
from nas.study.progress import Observer
from nas.study.retention import Retention
from nas.study.storage.factory import make_store
from nas.study.storage.store import Store
from nas.study.study import Study, create_study, resume_study
from nas.tracking.tracker import Tracker, check_tracker, open_tracker
from nas.training.checkpoint import latest
from search_space.graph import Shape
from search_space.space import Space, parse_space

REFERENCE_SAMPLES = 512
PACKAGES = ("torch", "pytorch-lightning", "torchmetrics", "optuna", "hydra-core", "numpy", "kornia", "datasets")
SAME_END = ("full", "inherit")
"""Fidelities that look at the last epoch alone."""
NOT_TRACKED = ("outputs", "format", "storage", "tracking")
WHERE_DATA_LIES = ("path", "cache", "cache_gib", "streaming", "decode_workers")
"""What a study's data may differ in from run to run: nothing that a curve depends on."""


def space_for(config_space: dict[str, Any], info: DataInfo) -> Space:
    """The space that a configuration describes, for the images of a data set."""
    return parse_space(config_space, Shape(*info.shape), len(info.classes))


def fingerprint(config: SearchConfig, info: DataInfo, space: Space) -> dict[str, Any]:
    """What a study is searched with, and what a resumed search must be given again."""
    axes = axes_of(config.objective, space)
    return {
        "space": {**config.space, "input": list(space.input), "classes": space.classes},
        "objectives": [axis.to_json() for axis in axes],
        "data": data_fingerprint(config.data, info),
        "training": asdict(config.training),
    }


def data_fingerprint(spec: DataSpec, info: DataInfo) -> dict[str, Any]:
    """What a study's data are: the images themselves and how they are split, wherever they lie."""
    plain = {key: value for key, value in asdict(spec).items() if key not in WHERE_DATA_LIES}
    if not spec.options:  # studies from before there were options have none
        del plain["options"]
    return {**plain, "content": info.fingerprint}


def open_or_create(
    folder: Path, config: SearchConfig, info: DataInfo, space: Space, store: Store | None = None
) -> Study:
    """The study of a folder: resumed where there is one, made otherwise.

    Args:
        folder: the study's folder.
        config: what is searched with.
        info: the images.
        space: the architectures.
        store: where the study is kept; None for a file in the folder.

    Raises:
        ValueError: it was made with something else; the message says what.
    """
    store = store or make_store(folder, "sqlite")
    made_with = fingerprint(config, info, space)
    return resume_study(folder, made_with, store) if store.exists() else create_study(folder, made_with, store)


def assemble(config: SearchConfig, study: Study, space: Space, observers: Sequence[Observer]) -> Search:
    """A search over `study`, ready to run."""
    _check_going_on(config, study)
    view, proposer = asking(config, space, study.axes, step_memory(config.training, config.workers))
    runner = TrialRunner(config.data, config.training, config.workers.threads_per_slot)
    parts = SearchParts(
        study=study,
        view=view,
        proposer=proposer,
        policy=policy(config, study.axes, config.training.epochs),
        executor=executor_for(runner, config.workers),
        devices=allocation_of(config.training, config.workers),
        values=partial(objective_values, config.objective),
        latest=latest,
        observers=observers,
        retention=Retention(config.workers.keep, study.trial_folder),
    )
    return Search(parts, config.budget, epochs=config.training.epochs, retries=config.workers.retries)


def _check_checkpoints(config: SearchConfig) -> None:
    """Refuse to start networks from weights that nobody keeps, or that lie where they are not trained."""
    fidelity, workers = config.fidelity.name, config.workers
    if workers.keep == "none":
        raise ValueError(
            f"checkpoints of trained networks must stay for fidelity={fidelity}: workers.keep must be front or all, "
            f"got {workers.keep}"
        )
    if workers.name == RAY:
        raise ValueError(f"checkpoints must lie where networks are trained for fidelity={fidelity}, got workers=ray")


def _check_going_on(config: SearchConfig, study: Study) -> None:
    """Refuse to compare, epoch by epoch, what started from fresh weights and what did not."""
    if config.fidelity.name in SAME_END:
        return
    heirs = sum(record.descent is not None for record in study.records())
    if heirs:
        raise ValueError(
            f"a study whose trials inherit weights goes on with fidelity={' or '.join(SAME_END)}, since epochs of the "
            f"others are not comparable with theirs; {heirs} do, got fidelity={config.fidelity.name}"
        )


def tracker_of(config: SearchConfig, study: Study) -> Tracker:
    """Whoever tracks a search of `study`, to be closed after it."""
    told = {name: value for name, value in asdict(config).items() if name not in NOT_TRACKED}
    return open_tracker(config.tracking, study, {**told, "environment": environment()})


def prepare(config: SearchConfig) -> tuple[DataInfo, Space]:
    """Read the data and the space, and refuse what cannot be searched before anything is written.

    Raises:
        ValueError: no such sampler, fidelity or tracker, unreadable data, an impossible space, or unmet limits.
    """
    check_tracker(config.tracking)
    info = describe(config.data)
    space = space_for(config.space, info)
    axes = axes_of(config.objective, space)
    asking(config, space, axes, None)
    if isinstance(policy(config, axes, config.training.epochs), Inheriting):
        _check_checkpoints(config)
    check_executor(config.workers)
    check_reachable(space, Limits(**config.limits), costs_known(config.objective))
    check_fits(space, step_memory(config.training, config.workers))
    return info, space


def environment() -> dict[str, Any]:
    """What the numbers of a study were measured on: versions and machine."""
    return {
        "inception-nas": version("inception-nas"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpus": _gpus(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _gpus() -> list[str]:
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
