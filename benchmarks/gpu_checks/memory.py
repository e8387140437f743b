"""Check of what follows where a training step does not fit the GPU's memory."""

from __future__ import annotations

import gc
from dataclasses import replace

import torch

from gpu_checks.base import Context, Figures, require
from gpu_checks.trainings import RECIPE, Training, curve, inception, patterned
from nas.jobs import FailureKind
from nas.jobs.failures import Verdict, verdict
from search_space.graph import Shape

SHARE = 0.75
"""Share of what whole batches need that the second training may take."""


def out_of_memory(context: Context) -> Figures:
    recipe = replace(RECIPE, batch_size=256, epochs=1)
    whole = Training(inception(Shape(3, 32, 32), 32), patterned(1024), recipe, context.device, context.folder / "free")
    curve(whole.run())
    needed, total = torch.cuda.max_memory_allocated(), torch.cuda.get_device_properties(0).total_memory
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(SHARE * needed / total)
    limited = replace(whole, folder=context.folder / "limited")
    outcome = limited.run()
    failure = outcome.failure
    figures: dict[str, object] = {
        "mib_of_whole_batches": needed / 2**20,
        "failure": None if failure is None else str(failure.kind),
    }
    require(failure is not None, f"{SHARE} of the memory of a step must be too little", figures)
    assert failure is not None
    require(failure.kind == FailureKind.OUT_OF_MEMORY, "the failure must be out_of_memory", figures)
    follows = verdict(failure, outcome.job, {}, 2)
    require(follows is Verdict.HALVE_BATCHES, f"half batches must follow, got {follows}", figures)
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    halves = replace(limited, parts=2).run()
    require(halves.failure is None, f"half batches must fit, got {halves.failure}", figures)
    return {**figures, "mib_of_half_batches": torch.cuda.max_memory_allocated() / 2**20}
