"""Probe of the machine: cores, memory and GPUs that a search may use, and the libraries of a training."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nas.cli.probes.finding import Finding, ok, problem, warning
from nas.workers.devices import cores, machine_memory
from nas.workers.gpus import gpu_models

GIB = 2**30
LITTLE_GIB = 2.0
"""Memory below which driver and one training hardly fit: a training of a small network takes 0.4 GiB."""
QUOTA = Path("/sys/fs/cgroup/cpu.max")
TRAINING = """
import json, torch
import nas.evaluation.trial_runner
print(json.dumps([torch.__version__, torch.cuda.is_available(), torch.cuda.device_count()]))
"""
"""Program that loads what a training loads."""


def probe_cores(quota: Path = QUOTA) -> list[Finding]:
    """Return the cores that this process may use, and a quota of processor time below them."""
    usable, all_cores = cores(), os.cpu_count() or 1
    text = f"{usable} cores" if usable == all_cores else f"{usable} of {all_cores} cores may be used"
    allowed = cpu_quota(quota)
    if allowed is not None and allowed < usable:
        slots = max(1, int(allowed))
        advice = f"workers.slots={slots} takes no more than that"
        return [warning("processor", f"{text}, but the container may use the time of {allowed:g}", advice)]
    load = os.getloadavg()[0]
    if load > usable:
        text, advice = (
            f"{text}, load {load:.1f}",
            "trainings share the cores with what runs already: wait, or expect less",
        )
        return [warning("processor", text, advice)]
    return [ok("processor", f"{text}, load {load:.1f}")]


def cpu_quota(path: Path) -> float | None:
    """Return the cores whose time a container may use, None for no limit."""
    try:
        quota, period = path.read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return None


def probe_memory(meminfo: Path = Path("/proc/meminfo")) -> list[Finding]:
    """Return the memory, or the container's limit, and what of it is free."""
    total, free = machine_memory() / GIB, available(meminfo)
    text = f"{total:.1f} GiB" + ("" if free is None else f", {min(free / GIB, total):.1f} GiB free")
    if min(total, total if free is None else free / GIB) < LITTLE_GIB:
        advice = "workers.slots=1 and a small training.batch_size take least; end other programs"
        return [warning("memory", text, advice)]
    return [ok("memory", text)]


def available(meminfo: Path) -> int | None:
    """Return the bytes of memory that programs can still get, None where the system does not tell."""
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None


def probe_gpus(models: Sequence[str] | None = None) -> list[Finding]:
    """Return the GPUs that `nvidia-smi` shows; CUDA is not loaded in this process."""
    found = gpu_models() if models is None else list(models)
    if not found:
        return [ok("GPUs", "none; networks are trained on the processor")]
    counts = {name: found.count(name) for name in dict.fromkeys(found)}
    return [ok("GPUs", ", ".join(f"{count} × {name}" for name, count in counts.items()))]


def probe_training(seconds: float, gpus: int | None = None, program: str = TRAINING) -> list[Finding]:
    """Return whether a process of its own can load what a training needs, and finds the GPUs.

    Args:
        seconds: seconds after which it is killed.
        gpus: number of GPUs that it must find; None for those that `nvidia-smi` shows.
        program: what it runs.
    """
    command = [sys.executable, "-c", program]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        advice = "the disk is slow, or the machine is busy: give it longer, timeout=300"
        return [warning("training", f"its libraries were not loaded within {seconds:g} s", advice)]
    if ended.returncode:
        said = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
        advice = "install the libraries again: pip install --force-reinstall inception-nas"
        return [problem("training", f"its libraries can't be loaded: {said}", advice)]
    torch, has_cuda, count = json.loads(ended.stdout.splitlines()[-1])
    wanted = len(gpu_models()) if gpus is None else gpus
    if wanted and not has_cuda:
        advice = "install a torch with CUDA, see https://pytorch.org/get-started, and a driver that is new enough"
        return [problem("training", f"torch {torch} uses none of {wanted} GPUs", advice)]
    return [ok("training", f"torch {torch} loads" + (f", {count} GPUs usable" if count else ""))]
