"""Executor of a search, and the memory and devices that a training may have there."""

from __future__ import annotations

import sys
from typing import cast

from nas.config.training import Recipe
from nas.config.workers import AUTO, LOCAL, WorkersSpec
from nas.data import DataInfo, DataSpec, resolve_streaming
from nas.jobs import Executor, Runner
from nas.objectives.step_memory import StepMemory
from nas.workers.device_allocation import DeviceAllocation, max_devices
from nas.workers.devices import cores, machine_memory, slot_devices, smallest_share
from nas.workers.gpus import device_memory, visible_gpus
from nas.workers.packing import PackSize
from search_space.plugins import PluginKind

EXECUTOR = PluginKind("workers.name", "nas.workers", "make")
ARGUMENTS = 2
"""Positional arguments of `make`: the runner and the configuration of the workers."""


def check_executor(workers: WorkersSpec) -> None:
    """Refuse an executor that does not exist.

    Raises:
        PluginError: as above; the message lists the executors.
    """
    EXECUTOR.bind(workers.name, {}, arguments=ARGUMENTS)


def executor_for(runner: Runner, workers: WorkersSpec) -> Executor:
    """Return the executor that `workers` names; close it after use.

    Args:
        runner: runs the jobs; picklable.
        workers: name of the executor and its settings.

    Raises:
        ValueError: there is no such executor, or it can't provide what a training asks for.
    """
    make = EXECUTOR.bind(workers.name, {}, arguments=ARGUMENTS)
    return cast(Executor, make(runner, workers))


def allocation_of(recipe: Recipe, workers: WorkersSpec) -> DeviceAllocation:
    """Return the rule that gives the number of devices of each trial.

    Raises:
        ValueError: there are too few slots, they share GPUs, a batch is too small for so many devices, or layers are
            to be frozen for a part of a training over several.
    """
    memory = StepMemory(slot_bytes(workers), recipe.batch_size, recipe.state_slots, recipe.ema_decay is not None)
    asked = workers.devices_per_trial
    if asked == 1:
        return DeviceAllocation(1, 1, memory)
    if recipe.head_epochs:
        raise ValueError(
            f"workers.devices_per_trial must be 1 with training.head_epochs, which freezes layers that several devices "
            f"would exchange, got {asked}"
        )
    if workers.name != LOCAL:
        return _fixed(int(asked), recipe, memory)  # the executor checks that a machine has as many
    slots = slot_devices(workers, visible_gpus())
    if slots[0] is not None and len(set(slots)) < len(slots):
        raise ValueError(
            f"workers.devices_per_trial may be {asked} only where each slot has a GPU of its own, "
            f"got {len(slots)} slots on {len(set(slots))}"
        )
    if asked == AUTO:
        return DeviceAllocation(1, max_devices(len(slots), recipe.batch_size), memory, workers.device_gmacs)
    devices = int(asked)
    if devices > len(slots):
        raise ValueError(f"workers.devices_per_trial must be at most the number of slots, {len(slots)}, got {devices}")
    return _fixed(devices, recipe, memory)


def _fixed(devices: int, recipe: Recipe, memory: StepMemory) -> DeviceAllocation:
    if 2 * devices > recipe.batch_size:
        raise ValueError(
            f"training.batch_size must be at least 2 a device, {2 * devices} over {devices}, got {recipe.batch_size}"
        )
    return DeviceAllocation(devices, devices, memory)


def pack_size(recipe: Recipe, workers: WorkersSpec) -> PackSize:
    """Return the rule that gives the number of trainings of one network that a process trains together.

    None are packed on other machines, nor with 16-bit gradients, whose scale the members of a pack would share, nor
    where the classifier is trained apart.
    """
    memory = StepMemory(slot_bytes(workers), recipe.batch_size, recipe.state_slots, recipe.ema_decay is not None)
    apart = recipe.head_epochs > 0 or recipe.backbone_learning_rate != 1
    if workers.name != LOCAL or recipe.precision == "16-mixed" or apart:
        return PackSize(1, "cpu", memory)
    most = None if workers.pack == AUTO else int(workers.pack)
    return PackSize(most, "cuda" if visible_gpus() else "cpu", memory)


def step_memory(recipe: Recipe, workers: WorkersSpec) -> StepMemory:
    """Return the memory of the smallest slot, for a training step over the maximum number of devices.

    Raises:
        ValueError: a trial can't have that many.
    """
    return allocation_of(recipe, workers).memory_at_most


def resolved_data(spec: DataSpec, info: DataInfo, workers: WorkersSpec) -> DataSpec:
    """Return `spec` with its images held or streamed, by their size and the memory of a slot; log which.

    Args:
        spec: the data.
        info: size and shape of the images.
        workers: the slots, which share the memory and the cores.
    """
    if workers.name != LOCAL:  # the other machines are unknown: this one stands for them
        return resolve_streaming(spec, info, min(slot_bytes(workers), machine_memory()), workers.threads_per_slot)
    slots = len(slot_devices(workers, visible_gpus()))
    return resolve_streaming(spec, info, slot_bytes(workers), max(1, cores() // slots))


def slot_bytes(workers: WorkersSpec) -> int:
    """Return the bytes of memory that a training may use in any slot; unlimited on unknown machines."""
    if workers.slot_memory_gib is not None:
        return int(workers.slot_memory_gib * 2**30)
    if workers.name != LOCAL:
        return sys.maxsize
    return smallest_share(slot_devices(workers, visible_gpus()), device_memory())
