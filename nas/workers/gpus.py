"""GPUs of this machine, as torch finds them."""

from __future__ import annotations

import os

import torch


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    count = torch.cuda.device_count()
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(named[:count] if named else (str(index) for index in range(count)))


def gpu_memory() -> dict[str, int]:
    """Return the bytes of memory of each visible GPU."""
    return {name: torch.cuda.get_device_properties(index).total_memory for index, name in enumerate(visible_gpus())}
