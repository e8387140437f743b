"""Copies of many tensors in one buffer of bytes, with one copy from a GPU, and tensors read back from such a buffer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        *(torch.float32, torch.float64, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    )
}
"""Types of the tensors, by name."""

ALIGNMENT = 64
"""Multiple of the bytes at which a tensor begins, as in torch's own allocations."""

LARGEST_STRIDE = 2**62


@dataclass(frozen=True)
class Layout:
    """Type, shape and strides of a tensor whose elements fill its memory without gaps."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @classmethod
    def of(cls, tensor: Tensor) -> Layout:
        """Return the layout of a copy of `tensor`, which keeps its memory format (channels last, say)."""
        found = cls(tensor.dtype, tuple(tensor.shape), tensor.stride())
        return found if found.is_dense else cls(tensor.dtype, tuple(tensor.shape), _contiguous(tuple(tensor.shape)))

    @property
    def bytes(self) -> int:
        """Bytes of memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def is_dense(self) -> bool:
        """True if each element has a place of its own, without gaps."""
        expected = 1
        for stride, size in sorted(zip(self.strides, self.shape, strict=True)):
            if size > 1 and stride != expected:
                return False
            expected *= max(size, 1)
        return True

    def view(self, buffer: Tensor, offset: int) -> Tensor:
        """Return the tensor at a byte of a buffer (bytes,) uint8."""
        return buffer[offset : offset + self.bytes].view(self.dtype).as_strided(self.shape, self.strides)


def _contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(max(size, 1) for size in shape[place + 1 :]) for place in range(len(shape)))


@final
class FlatTensors:
    """Buffer in the memory of the CPU for copies of tensors of certain layouts.

    Tensors of a GPU are gathered there, and come in one copy that no later work on the GPU waits for.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        """Allocate a buffer for such tensors, on the CPU or on one GPU, without copying them."""
        self._given = [_stated(tensor) for tensor in tensors]
        layouts = [Layout.of(tensor) for tensor in tensors]
        on_gpu = [tensor.device.type == "cuda" for tensor in tensors]
        offsets, gpu_bytes, size = _places(layouts, on_gpu)
        self._host = torch.zeros(size, dtype=torch.uint8, pin_memory=any(on_gpu))
        self.index: list[list[Any]] = [
            [str(layout.dtype).removeprefix("torch."), layout.shape, layout.strides, offset]
            for layout, offset in zip(layouts, offsets, strict=True)
        ]
        """Type, shape, strides and first byte of each tensor, from which `tensors_in` reads them."""
        self._on_gpu = [place for place, there in enumerate(on_gpu) if there]
        self._on_cpu = [place for place, there in enumerate(on_gpu) if not there]
        self._cpu_views = [layouts[place].view(self._host, offsets[place]) for place in self._on_cpu]
        self._gpu: _GpuCopy | None = None
        if self._on_gpu:
            places = [(layouts[place], offsets[place]) for place in self._on_gpu]
            self._gpu = _GpuCopy(self._host[:gpu_bytes], tensors[self._on_gpu[0]].device, places)

    def fits(self, tensors: Sequence[Tensor]) -> bool:
        """Return whether these tensors are of the buffer's layouts."""
        return [_stated(tensor) for tensor in tensors] == self._given

    @torch.no_grad()
    def copy(self, tensors: Sequence[Tensor]) -> None:
        """Copy the tensors; on return they may be changed. Don't call it before `values` of the last copy was used."""
        if self._cpu_views:
            torch._foreach_copy_(self._cpu_views, [tensors[place] for place in self._on_cpu])
        if self._gpu is not None:
            self._gpu.start([tensors[place] for place in self._on_gpu])

    def values(self) -> memoryview:
        """Wait until the copy has ended, and return the bytes of the buffer."""
        if self._gpu is not None:
            self._gpu.wait()
        return memoryview(self._host.numpy())  # type: ignore[arg-type]  # numpy states no buffer


def _stated(tensor: Tensor) -> tuple[object, ...]:
    return tensor.dtype, tensor.shape, tensor.stride(), tensor.device


@final
class _GpuCopy:
    """Copy of tensors on a GPU into pinned memory, on a stream of its own.

    The buffer on the GPU lives for one copy: it takes the place of gradients, which are freed between steps.
    """

    def __init__(self, host: Tensor, device: torch.device, places: Sequence[tuple[Layout, int]]) -> None:
        self._host = host
        self._device = device
        self._places = places
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch lacks the types
        self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch lacks the types

    def start(self, tensors: Sequence[Tensor]) -> None:
        buffer = torch.zeros(len(self._host), dtype=torch.uint8, device=self._device)
        torch._foreach_copy_([layout.view(buffer, offset) for layout, offset in self._places], list(tensors))
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            self._host.copy_(buffer, non_blocking=True)
            self._copied.record(self._stream)
        buffer.record_stream(self._stream)  # its memory is used again only after the copy

    def wait(self) -> None:
        self._copied.synchronize()


def _places(layouts: Sequence[Layout], first: Sequence[bool]) -> tuple[list[int], int, int]:
    """Return the first byte of each tensor, the bytes of those that come first, and all bytes."""
    offsets, end = [0] * len(layouts), 0
    ends = []
    for chosen in (True, False):
        for place, layout in enumerate(layouts):
            if first[place] is chosen:
                offsets[place] = end
                end += math.ceil(layout.bytes / ALIGNMENT) * ALIGNMENT
        ends.append(end)
    return offsets, ends[0], ends[1]


def tensors_in(buffer: Tensor, index: object) -> list[Tensor]:
    """Return the tensors in a buffer (bytes,) uint8, which share its memory, by an index that may be damaged.

    Raises:
        TypeError: the index is none.
        ValueError: a tensor is not dense, or not inside the buffer.
    """
    if not isinstance(index, list):
        raise TypeError(f"the index of tensors must be a list, got {type(index).__name__}")
    return [_tensor_at(buffer, entry, place) for place, entry in enumerate(index)]


def _tensor_at(buffer: Tensor, entry: object, place: int) -> Tensor:
    if not isinstance(entry, list) or len(entry) != 4 or entry[0] not in DTYPES:
        raise TypeError(f"tensor {place} must have a type, a shape, strides and a first byte")
    name, shape, strides, offset = entry
    if not _are_counts(shape) or not _are_counts(strides) or not _are_counts([offset]) or len(shape) != len(strides):
        raise TypeError(
            f"tensor {place} must have a shape, as many strides and a first byte, whole numbers of at least 0"
        )
    layout = Layout(DTYPES[name], tuple(shape), tuple(strides))
    if not layout.is_dense or offset % layout.dtype.itemsize or offset + layout.bytes > len(buffer):
        raise ValueError(f"tensor {place} must be dense and inside the {len(buffer):,} bytes of values")
    return layout.view(buffer, offset)


def _are_counts(values: object) -> bool:
    if not isinstance(values, list) or len(values) > 16:
        return False
    return all(type(value) is int and 0 <= value <= LARGEST_STRIDE for value in values)
