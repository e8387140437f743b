"""Copies to a GPU that nobody waits for: from pinned memory, and those of images on a stream of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def place(drawn: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the CPU on a device; a GPU copies from pinned memory, and nobody waits for it."""
    return drawn.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else drawn.to(device)


@dataclass(frozen=True, eq=False)
class Copied:
    """Copy on a GPU that may be under way.

    Attributes:
        tensor: the copy.
        done: event after it.
    """

    tensor: Tensor
    done: torch.cuda.Event

    def received(self) -> Tensor:
        """Return the copy, for which the present stream waits, but not the CPU."""
        stream = torch.cuda.current_stream(self.tensor.device)
        stream.wait_event(self.done)
        self.tensor.record_stream(stream)  # else its memory could be given away while this stream still reads it
        return self.tensor


class CopyStream:
    """Stream of copies to a GPU, which overlap with what is computed there.

    Args:
        device: the GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch has no types here

    def copy(self, source: Callable[[], Tensor]) -> Copied:
        """Start a copy once the source is there; for a thread beside the one that computes.

        Args:
            source: returns a tensor in pinned memory, and may wait for it.
        """
        pinned = source()
        with torch.cuda.stream(self._stream):
            tensor = pinned.to(self._device, non_blocking=True)
            done = torch.cuda.Event()  # type: ignore[no-untyped-call]  # as above
            done.record(self._stream)
        return Copied(tensor, done)
