"""Peak memory of an inference and of a training step, as measured in a process of their own.

On a CPU torch's profiler records each allocation and release of torch's allocator, the workspaces of kernels among
them; the peak is the largest running sum. On a GPU the allocator counts itself. The growth of the process' resident
memory stands beside it: it holds what the allocator does not hand back, and libraries' own.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from nas.config.training import Recipe
from nas.training.optimizer import make_optimizer
from search_space.cost import MIB, cost, training_bytes
from search_space.eager import eager_mib, weights_mib, workspace_mib
from search_space.graph import Graph
from search_space.network import build
from search_space.step_memory import step_mib

OWN = Path("/proc/self")
STEPS = 2
"""Training steps: the first makes the optimizer's state, the second runs beside it."""


@dataclass(frozen=True)
class MemoryPlan:
    """Circumstances of a measurement of memory.

    Attributes:
        recipe: training recipe of the step; its batch size and optimizer count, in float32.
        batch: images of the inference, at least 1.
        threads: threads, at least 1.
        device: `cpu` or `cuda`.
    """

    recipe: Recipe
    batch: int = 1
    threads: int = 1
    device: str = "cpu"


@dataclass(frozen=True)
class Peak:
    """Peak of memory.

    Attributes:
        allocated_mib: largest sum of what torch's allocator had handed out, in MiB.
        resident_mib: growth of the process' largest resident memory, in MiB; None where the system does not tell.
    """

    allocated_mib: float
    resident_mib: float | None


def measure_memory(graphs: Mapping[str, Graph], plan: MemoryPlan) -> list[dict[str, Any]]:
    """Return peaks of memory as a document, beside what is known of them before.

    Args:
        graphs: networks by name.
        plan: circumstances.

    Returns:
        For each network its `network`, `weights_mib`; `inference` with `batch`, `allocated_mib`, `resident_mib`, the
        `bound_mib` of eager PyTorch with workspaces, and the cost `ideal_mib`; `training` with `batch_size`,
        `allocated_mib`, `resident_mib`, the `estimate_mib` and the `bound_mib` by which slots refuse networks.

    Raises:
        ValueError: there is no such device, or the process ended, as one does that takes more memory than there is.
    """
    if plan.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda needs a GPU, torch finds none here")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn, initializer=_silence) as child:
        return [_document(name, graph, plan, *_peaks(child, name, graph, plan)) for name, graph in graphs.items()]


def _peaks(child: ProcessPoolExecutor, name: str, graph: Graph, plan: MemoryPlan) -> tuple[Peak, Peak]:
    try:
        return child.submit(inference_peak, graph, plan).result(), child.submit(training_peak, graph, plan).result()
    except BrokenProcessPool:
        raise ValueError(f"{name} must fit into memory to be measured, the process that ran it was ended") from None


def _silence() -> None:
    """Drop what this process writes to standard error, where the profiler's library tells of each recording."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _document(name: str, graph: Graph, plan: MemoryPlan, inference: Peak, training: Peak) -> dict[str, Any]:
    size, slots = plan.recipe.batch_size, plan.recipe.state_slots
    return {
        "network": name,
        "weights_mib": weights_mib(graph),
        "inference": {
            "batch": plan.batch,
            **vars(inference),
            "bound_mib": plan.batch * eager_mib(graph) + workspace_mib(graph, plan.batch),
            "ideal_mib": plan.batch * cost(graph).memory_mib,
        },
        "training": {
            "batch_size": size,
            **vars(training),
            "estimate_mib": step_mib(graph, size, optimizer_slots=slots),
            "bound_mib": training_bytes(graph, size, optimizer_slots=slots) / MIB,
        },
    }


def inference_peak(graph: Graph, plan: MemoryPlan) -> Peak:
    """Return the peak of the activations of one inference with its images, without weights, in this process."""
    torch.set_num_threads(plan.threads)
    network = build(graph).eval().to(plan.device)

    def infer() -> None:
        images = torch.zeros(plan.batch, *graph.input, device=plan.device)
        with torch.inference_mode():
            network(images)

    infer()  # kernels make what they keep
    return peak_of(infer, plan.device)


def training_peak(graph: Graph, plan: MemoryPlan) -> Peak:
    """Return the peak of training steps with weights, gradients and the optimizer's state, in this process."""
    torch.set_num_threads(plan.threads)

    def train() -> None:
        network: Any = build(graph).train()
        network = network.to(plan.device, memory_format=torch.channels_last)  # as trainings do
        optimizer = make_optimizer(network, plan.recipe)
        shape, classes = (plan.recipe.batch_size, *graph.input), graph.output.channels
        labels = torch.arange(plan.recipe.batch_size, device=plan.device) % classes
        for _ in range(STEPS):
            images = torch.randn(shape, device=plan.device).contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad()
            found = network(images)
            logits, auxiliary = found if isinstance(found, tuple) else (found, [])
            loss: Any = functional.cross_entropy(logits, labels)  # torch's stub lacks the type of backward
            for given, weight in auxiliary:
                loss = loss + weight * functional.cross_entropy(given, labels)
            loss.backward()
            optimizer.step()

    return peak_of(train, plan.device)


def peak_of(run: Callable[[], None], device: str = "cpu") -> Peak:
    """Return the peak of what a call allocates.

    Args:
        run: the call.
        device: `cpu` or `cuda`.
    """
    with _resident() as grown:
        if device == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            run()
            torch.cuda.synchronize()
            allocated = (torch.cuda.max_memory_allocated() - before) / MIB
        else:
            allocated = _recorded(run)
    return Peak(allocated, grown[0])


def _recorded(run: Callable[[], None]) -> float:
    """Return the largest running sum of the allocations and releases that torch's profiler records, in MiB."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    with tempfile.TemporaryDirectory(prefix="nas-memory-") as folder:
        path = Path(folder, "trace.json")
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    found = [event for event in events if event["name"] == "[memory]" and event["args"]["Device Type"] == 0]
    now = peak = 0
    for event in sorted(found, key=lambda event: float(event["ts"])):
        now += int(event["args"]["Bytes"])
        peak = max(peak, now)
    return peak / MIB


@contextmanager
def _resident() -> Iterator[list[float | None]]:
    """Yield a list that holds, after the block, the growth of the largest resident memory in MiB, or None."""
    grown: list[float | None] = [None]
    try:
        (OWN / "clear_refs").write_text("5")  # the largest resident memory is the present one from now on
        before = _largest_mib()
    except (OSError, ValueError):
        before = None
    yield grown
    if before is not None:
        grown[0] = max(0.0, _largest_mib() - before)


def _largest_mib() -> float:
    lines = (OWN / "status").read_text(encoding="utf-8").splitlines()
    found = next((line for line in lines if line.startswith("VmHWM:")), None)
    if found is None:
        raise ValueError("VmHWM must stand in /proc/self/status")
    return int(found.split()[1]) / 1024
