"""Files of tensors by their names: safetensors, or torch's own format, of which nothing but tensors is unpickled."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

TORCH = (".pth", ".bin")
"""Endings of files that `torch.save` wrote, of torchvision and timm."""
SUFFIXES = (".safetensors", *TORCH)
WRAPPERS = ("state_dict", "model")
"""Keys under which training programs keep the state dict in their checkpoints."""


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file by name, and the metadata of a file in safetensors.

    Args:
        path: a file with one of the endings of `SUFFIXES`.

    Raises:
        OSError: it can't be read.
        ValueError: it holds something else than tensors by name, or objects that would have to run code.
        SafetensorError: it is damaged.
    """
    if path.suffix in TORCH:
        return _of_torch(path), {}
    with safe_open(path, "pt") as file:
        metadata: dict[str, str] = file.metadata() or {}
    return safetensors.torch.load(path.read_bytes()), metadata


def _of_torch(path: Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, LookupError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"a file of torch.save must hold tensors alone, {path.name} does not: {reason}") from error
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in content.items()
    ):
        raise ValueError(f"a state dict must hold tensors by name, {path.name} holds something else")
    return dict(content)
