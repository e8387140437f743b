"""Who runs the jobs of a search, by what the workers' settings say, and the memory that a training may take there."""

from __future__ import annotations

import sys
from typing import Protocol, runtime_checkable

import torch

from nas.config.training import Recipe
from nas.config.workers import AUTO, RAY, WorkersSpec
from nas.data import DataInfo, DataSpec, settle
from nas.data.transfer import Shipment
from nas.jobs import Executor, Runner
from nas.objectives.costs import StepMemory
from nas.training.optimizer import state_slots
from nas.workers.device_allocation import Spread, most_devices
from nas.workers.devices import cores, machine_memory, slot_devices, smallest_share, visible_gpus
from nas.workers.local.executor import LocalExecutor
from nas.workers.local.process_reuse import AUTO_JOBS, Tenure

PRELOADED = (
    "nas.evaluation.trial_runner",
    "kornia",
    "torchmetrics",
    "pytorch_lightning",
    "torch",
    "nas.workers.local.preload",
)


@runtime_checkable
class WithImages(Protocol):
    """A runner that reads images."""

    @property
    def images(self) -> DataSpec:
        """The images."""
        ...


def executor_for(runner: Runner, workers: WorkersSpec) -> Executor:
    """Slots that carry jobs out with `runner`.

    Raises:
        ValueError: there is no such cluster, or it can't do what a training asks for.
    """
    return _ray(runner, workers) if workers.name == RAY else _local(runner, workers)


def spread_of(recipe: Recipe, workers: WorkersSpec) -> Spread:
    """Over how many of the slots each network is trained.

    Raises:
        ValueError: the slots are too few for it or share GPUs, or a batch is too small for so many devices.
    """
    memory = StepMemory(slot_bytes(workers), recipe.batch_size, state_slots(recipe), recipe.ema_decay is not None)
    asked = workers.devices_per_trial
    if asked == 1:
        return Spread(1, 1, memory)
    if workers.name == RAY:
        return _fixed(int(asked), recipe, memory)  # whether a machine has as many shows when the cluster is joined
    slots = slot_devices(workers, _gpus_by_name())
    if slots[0] is not None and len(set(slots)) < len(slots):
        raise ValueError(
            f"workers.devices_per_trial may be {asked} only where each slot has a GPU of its own, "
            f"got {len(slots)} slots on {len(set(slots))}"
        )
    if asked == AUTO:
        return Spread(1, most_devices(len(slots), recipe.batch_size), memory, workers.device_gmacs)
    devices = int(asked)
    if devices > len(slots):
        raise ValueError(f"workers.devices_per_trial must be at most the number of slots, {len(slots)}, got {devices}")
    return _fixed(devices, recipe, memory)


def _fixed(devices: int, recipe: Recipe, memory: StepMemory) -> Spread:
    if 2 * devices > recipe.batch_size:
        raise ValueError(
            f"training.batch_size must be at least 2 a device, {2 * devices} over {devices}, got {recipe.batch_size}"
        )
    return Spread(devices, devices, memory)


def step_memory(recipe: Recipe, workers: WorkersSpec) -> StepMemory:
    """What a training step of a recipe may take in the smallest slot, over as many devices as a trial may have.

    Raises:
        ValueError: a trial can't have that many.
    """
    return spread_of(recipe, workers).smallest


def settled_data(spec: DataSpec, info: DataInfo, workers: WorkersSpec) -> DataSpec:
    """`spec` with its images held or streamed, by their size and what a slot has; logs which.

    Args:
        spec: the data.
        info: what there is of them.
        workers: the slots that they are for, which share out memory and cores.
    """
    if workers.name == RAY:  # its machines may be any: this one stands for them
        return settle(spec, info, min(slot_bytes(workers), machine_memory()), workers.threads_per_slot)
    slots = len(slot_devices(workers, _gpus_by_name()))
    return settle(spec, info, slot_bytes(workers), max(1, cores() // slots))


def slot_bytes(workers: WorkersSpec) -> int:
    """Memory that a training may take, whichever slot it gets; on the machines of a cluster nobody knows beforehand."""
    if workers.slot_memory_gib is not None:
        return int(workers.slot_memory_gib * 2**30)
    if workers.name == RAY:
        return sys.maxsize
    gpus = _gpus_by_name()
    memory: dict[str | None, int] = {
        name: torch.cuda.get_device_properties(index).total_memory for index, name in enumerate(gpus)
    }
    return smallest_share(slot_devices(workers, gpus), memory | {None: machine_memory()})


def _local(runner: Runner, workers: WorkersSpec) -> LocalExecutor:
    return LocalExecutor(
        runner,
        slot_devices(workers, _gpus_by_name()),
        tenure=tenure_of(workers),
        preload=PRELOADED,
        deadline_seconds=_deadline_seconds(workers),
    )


def _ray(runner: Runner, workers: WorkersSpec) -> Executor:
    try:
        from nas.workers.ray.executor import RayExecutor  # noqa: PLC0415 - half a second, and an extra
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ValueError("workers=ray needs Ray: pip install 'inception-nas[ray]'") from error
    supplies = Shipment.of(runner.images) if isinstance(runner, WithImages) else None
    return RayExecutor(
        runner, workers, supplies=supplies, preload=PRELOADED, deadline_seconds=_deadline_seconds(workers)
    )


def _deadline_seconds(workers: WorkersSpec) -> float | None:
    return None if workers.deadline_minutes is None else 60 * workers.deadline_minutes


def tenure_of(workers: WorkersSpec) -> Tenure:
    """How many jobs a child process serves."""
    if workers.jobs_per_child == AUTO:
        return Tenure(AUTO_JOBS, if_worth=True)
    return Tenure(int(workers.jobs_per_child))


def _gpus_by_name() -> tuple[str, ...]:
    return visible_gpus(torch.cuda.device_count())
