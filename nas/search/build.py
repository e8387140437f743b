"""Construction of a search: a checked configuration becomes a plan, a plan and a study become a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.config.commands import SearchConfig
from nas.config.workers import RAY
from nas.data import DataInfo, describe
from nas.evaluation.deferred_runner import DeferredRunner
from nas.fidelity.policy import Inheriting
from nas.objectives.limits import check_reachable
from nas.objectives.step_memory import StepMemory, check_fits
from nas.search.built_strategy import BuiltStrategy, TrainingHorizon, build_strategy
from nas.search.driver import Search
from nas.search.executors import allocation_of, check_executor, executor_for, resolved_data, step_memory
from nas.search.fingerprint import fingerprint
from nas.search.ordered_executor import OrderedExecutor
from nas.search.starts import inherited_shares, with_weights_of_starts
from nas.search.training_images import announce_augmentation, check_resized
from nas.study.architectures import Studies
from nas.study.progress import Observer
from nas.study.retention import Retention
from nas.study.storage.factory import make_store
from nas.study.storage.store import Store
from nas.study.study import Study, create_study, resume_study
from nas.tracking.tracker import check_tracker
from nas.training.checkpoint_folder import latest
from nas.training.weights_file import located
from search_space.graph import Shape
from search_space.space import Space, parse_space

COMPARABLE = ("full", "inherit")
"""Fidelities that compare trials by their last epochs alone."""

TIMED_OPTION = "seconds_power"
"""Option of a sampler that weighs measured seconds."""


@dataclass(frozen=True)
class SearchPlan:
    """Checked configuration of one search, with the objects built from it; nothing is written yet.

    Attributes:
        config: the configuration.
        images: its images.
        memory: memory that a training step may take.
        built: the objects of its strategy.
        shares: share of each start's parameters that begin as those of `training.weights`, by the start's name.
    """

    config: SearchConfig
    images: DataInfo
    memory: StepMemory
    built: BuiltStrategy
    shares: Mapping[str, float]

    @property
    def space(self) -> Space:
        """The search space."""
        return self.built.space


def space_for(mapping: dict[str, Any], images: DataInfo) -> Space:
    """Return the space that a configuration describes, for the images of a data set."""
    return parse_space(mapping, Shape(*images.shape), len(images.classes))


def prepare(config: SearchConfig) -> SearchPlan:
    """Check a configuration, and build what a search needs; nothing is written.

    Raises:
        ValueError: no such sampler, fidelity, executor or tracker, unreadable data, an impossible space, or limits
            that no network meets.
    """
    check_tracker(config.tracking)
    check_executor(config.workers)
    images = describe(config.data)
    config = replace(config, training=located(with_weights_of_starts(config.training, config.start)))
    space = space_for(config.space, images)
    memory = step_memory(config.training, config.workers)
    built = _build(config, images, space, memory)
    if isinstance(built.policy, Inheriting):
        _check_checkpoints(config)
    check_reachable(space, built.requirements.limits, built.requirements.costs)
    check_fits(space, memory)
    check_resized(config.training, space)
    return SearchPlan(config, images, memory, built, inherited_shares(config.training, built.starts, images.classes))


def build_again(plan: SearchPlan) -> BuiltStrategy:
    """Return the objects of a plan's strategy once more, for a simulated search: a plan makes one search."""
    return _build(plan.config, plan.images, plan.space, plan.memory)


def _build(config: SearchConfig, images: DataInfo, space: Space, memory: StepMemory) -> BuiltStrategy:
    return build_strategy(
        _timeless(config) if config.deterministic else config,
        space,
        TrainingHorizon(config.training.epochs, images.validation, config.training.validate_every),
        memory,
        Studies(config.outputs, config.storage.kind),
    )


def open_or_create(folder: Path, plan: SearchPlan, store: Store | None = None) -> Study:
    """Resume the study of a folder, or create it if there is none.

    Args:
        folder: the study's folder.
        plan: the search.
        store: database of the study; None for a file in the folder.

    Raises:
        ValueError: the study has another fingerprint; the message says what differs.
    """
    store = store or make_store(folder, "sqlite")
    found = fingerprint(plan.config, plan.images, plan.space, plan.built.axes, plan.built.requirements.costs.origins)
    return resume_study(folder, found, store) if store.exists() else create_study(folder, found, store)


def assemble(plan: SearchPlan, study: Study, observers: Sequence[Observer]) -> Search:
    """Return the search of a plan over a study; a plan makes one search.

    Raises:
        ValueError: the fidelity cannot compare the study's trials, or there is no such cluster.
    """
    config, built = plan.config, plan.built
    study.believer = built.believer
    _check_comparable(config, study)
    study.report_epochs(built.values)
    data = resolved_data(config.data, plan.images, config.workers)
    announce_augmentation(config.data, config.training)
    runner = DeferredRunner(data, config.training, config.workers.threads_per_slot, deterministic=config.deterministic)
    executor = executor_for(runner, config.workers)
    parts = replace(
        built.parts(study, OrderedExecutor(executor) if config.deterministic else executor, latest),
        devices=allocation_of(config.training, config.workers),
        observers=observers,
        retention=Retention(config.workers.keep, study.trial_folder),
    )
    return Search(parts, config.budget, epochs=config.training.epochs, retries=config.workers.retries)


def _timeless(config: SearchConfig) -> SearchConfig:
    """Return the configuration with a sampler that leaves measured seconds out of account."""
    options = config.sampler.options
    if TIMED_OPTION not in options:
        return config
    return replace(config, sampler=replace(config.sampler, options={**options, TIMED_OPTION: 0.0}))


def _check_checkpoints(config: SearchConfig) -> None:
    """Raise if networks would inherit weights from checkpoints that are deleted, or lie on another machine."""
    fidelity, workers = config.fidelity.name, config.workers
    if workers.keep == "none":
        raise ValueError(
            f"checkpoints of trained networks must stay for fidelity={fidelity}: workers.keep must be front or all, "
            f"got {workers.keep}"
        )
    if workers.name == RAY:
        raise ValueError(f"checkpoints must lie where networks are trained for fidelity={fidelity}, got workers=ray")


def _check_comparable(config: SearchConfig, study: Study) -> None:
    """Raise if the fidelity compares trials epoch by epoch, and some of the study inherited weights."""
    if config.fidelity.name in COMPARABLE:
        return
    heirs = sum(record.descent is not None for record in study.records())
    if heirs:
        raise ValueError(
            f"a study whose trials inherit weights goes on with fidelity={' or '.join(COMPARABLE)}, since epochs of "
            f"the others are not comparable with theirs; {heirs} do, got fidelity={config.fidelity.name}"
        )
