"""GPUs of this machine as torch finds them, and the memory of each device."""

from __future__ import annotations

import os

import torch

from nas.workers.devices import machine_memory


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(named[:count] if named else (str(index) for index in range(count)))


def device_memory() -> dict[str | None, int]:
    """Return the bytes of memory of each visible GPU, and of this machine under None."""
    memory: dict[str | None, int] = {None: machine_memory()}
    for index, name in enumerate(visible_gpus()):
        memory[name] = torch.cuda.get_device_properties(index).total_memory
    return memory
