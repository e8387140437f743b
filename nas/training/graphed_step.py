"""CUDA graph of a training step: one call launches all of its kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

WARM_UPS = 3
"""Steps of a shape before its capture, in which libraries choose kernels and the optimizer makes its state."""

Step = Callable[[Tensor, Tensor], None]
"""Training step on images (B, C, H, W) and labels (B, ...), from the forward pass to the optimizer's."""


def obstacle(device: torch.device, micro_batches: int, ranks: int) -> str | None:
    """Return the reason why steps can't be captured, or None.

    Args:
        device: device of the training.
        micro_batches: parts of a batch.
        ranks: processes of the training.

    >>> obstacle(torch.device("cpu"), 1, 1)
    'the training is on cpu'
    """
    if device.type != "cuda":
        return f"the training is on {device.type}"
    if ranks > 1:
        return f"{ranks} processes share a batch"
    if micro_batches > 1:
        # A captured batch norm keeps its momentum, and each part has one of its own.
        return f"a batch has {micro_batches} parts"
    return None


@final
class GraphedStep:
    """Training step that is captured once for each shape of its inputs, and replayed from then on.

    The steps before a capture are plain ones of the same training, on the stream of the capture: autograd and cuDNN
    keep what belongs to a stream. Whatever a step reads or writes beside its inputs must stay in its place in memory:
    weights, buffers, the optimizer's state, a learning rate that is a tensor, and sums of losses. Gradients are made in
    the graph and gone at its end; nothing of a capture outlives it, so that graphs of several shapes share memory.
    """

    def __init__(self, step: Step, generators: Callable[[], Sequence[torch.Generator]] = tuple) -> None:
        """Wrap a step.

        Args:
            step: a step.
            generators: returns the generators that it draws from beside torch's own of the device; read at a capture.
        """
        self._step = step
        self._generators = generators
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's stub lacks types
        self._pool = torch.cuda.graph_pool_handle()
        self._warm: Counter[tuple[object, ...]] = Counter()
        self._captured: dict[tuple[object, ...], _Captured] = {}

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        """Take a step."""
        shape = (images.shape, images.dtype, labels.shape, labels.dtype)
        if shape not in self._captured:
            if self._warm[shape] < WARM_UPS:
                self._warm[shape] += 1
                self._take(images, labels)
                return
            self._captured[shape] = self._capture(images, labels)
        self._captured[shape].replay(images, labels)

    def _take(self, images: Tensor, labels: Tensor) -> None:
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            self._step(images, labels)
        current.wait_stream(self._stream)

    def _capture(self, images: Tensor, labels: Tensor) -> _Captured:
        """Record a step, which is not taken.

        Raises:
            RuntimeError: it waits for the device, or does something else that can't be captured.
        """
        given = torch.empty_like(images, memory_format=torch.channels_last), torch.empty_like(labels)
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators():
            graph.register_generator_state(generator)
        try:
            # Other threads, such as those that read images or write checkpoints, may use the device meanwhile.
            with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
                self._step(*given)
        except RuntimeError as error:
            first = error.__context__ or error  # the end of a capture that failed raises an error of its own
            raise RuntimeError(
                f"a step must be one that a CUDA graph can hold, training.cuda_graph=false takes any: {first}"
            ) from error
        return _Captured(graph, *given)


@final
@dataclass(frozen=True, eq=False)
class _Captured:
    """Graph, and the tensors that its kernels read."""

    graph: torch.cuda.CUDAGraph
    images: Tensor
    labels: Tensor

    def replay(self, images: Tensor, labels: Tensor) -> None:
        """Copy the inputs to where the graph reads them, and take a step."""
        self.images.copy_(images, non_blocking=True)
        self.labels.copy_(labels, non_blocking=True)
        self.graph.replay()
