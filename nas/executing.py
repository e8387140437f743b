"""Who runs the jobs of a search, by what the workers' settings say, and the memory that a training may take there."""

from __future__ import annotations

import torch

from nas.gate import StepMemory
from nas.jobs import Executor, Runner
from nas.training.optimizer import state_slots
from nas.training.recipe import Recipe
from nas.workers.devices import machine_memory, slot_devices, smallest_share, visible_gpus
from nas.workers.local import LocalExecutor
from nas.workers.spec import AUTO, WorkersSpec
from nas.workers.tenure import AUTO_JOBS, Tenure

PRELOADED = ("nas.runner", "kornia", "torchmetrics", "pytorch_lightning", "torch", "nas.workers.settle")


def executor_for(runner: Runner, workers: WorkersSpec) -> Executor:
    """Slots that carry jobs out with `runner`."""
    return _local(runner, workers)


def step_memory(recipe: Recipe, workers: WorkersSpec) -> StepMemory:
    """What a training step of a recipe may take in the smallest slot."""
    return StepMemory(slot_bytes(workers), recipe.batch_size, state_slots(recipe), recipe.ema_decay is not None)


def slot_bytes(workers: WorkersSpec) -> int:
    """Memory that a training may take, whichever slot it gets."""
    if workers.slot_memory_gib is not None:
        return int(workers.slot_memory_gib * 2**30)
    gpus = _gpus_by_name()
    memory: dict[str | None, int] = {
        name: torch.cuda.get_device_properties(index).total_memory for index, name in enumerate(gpus)
    }
    return smallest_share(slot_devices(workers, gpus), memory | {None: machine_memory()})


def _local(runner: Runner, workers: WorkersSpec) -> LocalExecutor:
    deadline = workers.deadline_minutes
    return LocalExecutor(
        runner,
        slot_devices(workers, _gpus_by_name()),
        tenure=tenure_of(workers),
        preload=PRELOADED,
        deadline_seconds=None if deadline is None else 60 * deadline,
    )


def tenure_of(workers: WorkersSpec) -> Tenure:
    """How many jobs a child process serves."""
    if workers.jobs_per_child == AUTO:
        return Tenure(AUTO_JOBS, if_worth=True)
    return Tenure(int(workers.jobs_per_child))


def _gpus_by_name() -> tuple[str, ...]:
    return visible_gpus(torch.cuda.device_count())
