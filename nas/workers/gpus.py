"""GPUs of this machine and their memory, found without initialising CUDA in this process.

A driver trains nothing: a CUDA context of its own would take hundreds of megabytes of a GPU, and processes could not be
forked from it. So `nvidia-smi` is asked, and where its answer is not certain, a short process that imports torch.
torch is loaded only where neither the system nor `nvidia-smi` tells the number of GPUs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from runpy import run_path

from nas.workers.devices import machine_memory

SMI = ("nvidia-smi", "--query-gpu=index,uuid,memory.total,mig.mode.current,name", "--format=csv,noheader,nounits")
SMI_SECONDS = 60
CHILD_SECONDS = 300
CHILD = """
import json, torch
found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
print(json.dumps([[each.name, each.total_memory] for each in found]))
"""
DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd", "/dev/nvhost-ctrl-gpu", "/dev/nvgpu")
"""Files that Linux has where it has a driver of GPUs: of NVIDIA, in WSL, of AMD, and of NVIDIA's boards."""


@dataclass(frozen=True)
class Gpu:
    """GPU that this process may use.

    Attributes:
        name: its model.
        memory: bytes.
    """

    name: str
    memory: int


def may_have_gpus(drivers: Sequence[str] = DRIVERS) -> bool:
    """Return whether this machine may have a GPU that torch finds."""
    if "torch" in sys.modules or sys.platform != "linux":
        return True
    return any(Path(file).exists() for file in drivers) and _built_for_gpus()


def _built_for_gpus() -> bool:
    """Return whether the installed torch can use GPUs of any kind; the file of its version says so."""
    try:
        built = run_path(str(distribution("torch").locate_file("torch/version.py")))
    except (OSError, PackageNotFoundError):
        return True
    return built.get("cuda", "") is not None or built.get("hip") is not None


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    if not may_have_gpus():
        return ()
    if "torch" not in sys.modules and "CUDA_VISIBLE_DEVICES" not in os.environ:
        with suppress(OSError, subprocess.SubprocessError):
            if (rows := _rows(_smi())) is not None:
                return tuple(str(index) for index in range(len(rows)))
    from torch import cuda  # noqa: PLC0415 - takes seconds

    count = cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(named[:count] if named else (str(index) for index in range(count)))


def device_memory() -> dict[str | None, int]:
    """Return the bytes of memory of each visible GPU, and of this machine under None.

    Raises:
        ValueError: it can't be found out.
    """
    names = visible_gpus()
    memory: dict[str | None, int] = {None: machine_memory()}
    return memory | {name: gpu.memory for name, gpu in zip(names, _described(names), strict=True)}


def gpu_models() -> list[str]:
    """Return the model of each visible GPU, or its name where the model can't be found out."""
    names = visible_gpus()
    try:
        return [gpu.name for gpu in _described(names)]
    except ValueError:
        return list(names)


@cache
def _smi() -> str:
    return subprocess.run(SMI, capture_output=True, text=True, check=True, timeout=SMI_SECONDS).stdout


def _rows(answer: str) -> list[list[str]] | None:
    """Return the fields of each GPU in an answer of `nvidia-smi`, None if it is none, or a GPU is cut into parts."""
    rows = [[field.strip() for field in line.split(",", 4)] for line in answer.splitlines()]
    if not rows or any(len(row) != 5 or not row[2].isdecimal() or row[3] == "Enabled" for row in rows):
        return None
    return rows


@cache
def _described(names: tuple[str, ...]) -> tuple[Gpu, ...]:
    if not names:
        return ()
    try:
        answer = _smi()
    except (OSError, subprocess.SubprocessError):  # no such program, or one of an older driver
        answer = ""
    ordered = os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    return gpus_in(answer, names, ordered=ordered) or _asked_of_torch(names)


def gpus_in(answer: str, names: tuple[str, ...], *, ordered: bool) -> tuple[Gpu, ...] | None:
    """Return the GPUs of these names in an answer of `nvidia-smi`, None if it is not certain which they are.

    Args:
        answer: lines of index, UUID, MiB of memory, MIG mode and model.
        names: as CUDA_VISIBLE_DEVICES names them: numbers, or beginnings of UUIDs.
        ordered: whether CUDA numbers GPUs as `nvidia-smi` does. Otherwise the fastest come first, so that numbers
            tell nothing unless all GPUs are equal.

    >>> gpus_in("0, GPU-a1, 81559, Disabled, NVIDIA H100", ("0",), ordered=False)
    (Gpu(name='NVIDIA H100', memory=85520809984),)
    """
    rows = _rows(answer)
    if rows is None:
        return None
    gpus = [Gpu(row[4], int(row[2]) * 2**20) for row in rows]
    found = []
    for name in names:
        matching = [gpu for gpu, row in zip(gpus, rows, strict=True) if name == row[0] or row[1].startswith(name)]
        if len(matching) != 1 or (name.isdecimal() and not ordered and len(set(gpus)) > 1):
            return None
        found += matching
    return tuple(found)


def _asked_of_torch(names: tuple[str, ...]) -> tuple[Gpu, ...]:
    """Return the GPUs as torch describes them in a process of its own.

    Raises:
        ValueError: it fails.
    """
    command = [sys.executable, "-c", CHILD]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=CHILD_SECONDS).stdout
        found = tuple(Gpu(str(name), int(memory)) for name, memory in json.loads(answer.splitlines()[-1]))
    except (OSError, subprocess.SubprocessError, LookupError, TypeError, ValueError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise ValueError(
            f"the memory of GPUs {', '.join(names)} must be known, or workers.slot_memory_gib given: "
            f"{said[-1] if said else type(error).__name__}"
        ) from error
    if len(found) != len(names):
        raise ValueError(f"torch must find the GPUs {', '.join(names)}, a process of its own found {len(found)}")
    return found
