"""Runtimes whose latency is measured: a network with random weights on fixed random images, as a call."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn

from nas.exports.libraries import lacking, optional
from nas.exports.profiling.turns import Call
from nas.objectives.latency.files import LatencyOptions
from search_space.graph import Graph
from search_space.network import build

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@final
class CudaCall:
    """Call on a GPU that is timed between two events of its stream."""

    def __init__(self, call: Call) -> None:
        """Wrap a call that runs on the current GPU."""
        self._call = call
        event: Any = torch.cuda.Event  # torch's stub lacks types
        self._events = [event(enable_timing=True) for _ in range(2)]
        self._milliseconds = 0.0

    def __call__(self) -> None:
        """Run once and wait for the end."""
        first, last = self._events
        first.record()
        self._call()
        last.record()
        last.synchronize()
        self._milliseconds = float(first.elapsed_time(last))

    @property
    def milliseconds(self) -> float:
        """Milliseconds between the events of the last run."""
        return self._milliseconds


def prepare(graph: Graph, options: LatencyOptions) -> Call:
    """Return a call that runs one inference of a network.

    Args:
        graph: the network.
        options: runtime, batch, threads, precision and device.

    Raises:
        ValueError: an unknown runtime, or one that lacks a library, the precision or the device.
    """
    if options.runtime not in RUNTIMES:
        raise ValueError(f"runtime must be one of {', '.join(RUNTIMES)}, got {options.runtime!r}")
    if options.device not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu or cuda, got {options.device!r}")
    return RUNTIMES[options.runtime](graph, options)


def _torch(graph: Graph, options: LatencyOptions) -> Call:
    if options.precision not in DTYPES:
        raise ValueError(f"precision of torch must be one of {', '.join(DTYPES)}, got {options.precision!r}")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda needs a GPU, torch finds none here")
    torch.set_num_threads(options.threads)
    dtype, device = DTYPES[options.precision], torch.device(options.device)
    module, images = _module(graph).to(device, dtype), _images(graph, options.batch).to(device, dtype)

    def call() -> object:
        with torch.inference_mode():
            return module(images)

    return CudaCall(call) if options.device == "cuda" else call


def _onnxruntime(graph: Graph, options: LatencyOptions) -> Call:
    if missing := lacking("runtime=onnxruntime", ("onnx", "onnxruntime"), "'inception-nas[export]'"):
        raise ValueError(missing)
    if (options.precision, options.device) != ("float32", "cpu"):
        raise ValueError(
            f"runtime=onnxruntime is measured in float32 on the cpu, got {options.precision} on {options.device}"
        )
    runtime: Any = optional("onnxruntime")
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = options.threads, 1
    images = _images(graph, options.batch)
    content = _onnx(_module(graph), images)
    session = runtime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: images.numpy()}
    return lambda: session.run(None, inputs)


RUNTIMES: Mapping[str, Callable[[Graph, LatencyOptions], Call]] = {"torch": _torch, "onnxruntime": _onnxruntime}


def _module(graph: Graph) -> nn.Module:
    """Return a network with random weights in evaluation mode; the caller's random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(graph).eval()


def _images(graph: Graph, batch: int) -> Tensor:
    """Return random images (batch, C, H, W)."""
    return torch.randn(batch, *graph.input, generator=torch.Generator().manual_seed(0))


def _onnx(module: nn.Module, images: Tensor) -> bytes:
    """Return a network as an ONNX model by the exporter of TorchScript, a tenth of the time of the newer one."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter is deprecated, and its graphs run alike
        export: Any = torch.onnx.export  # torch's stub lacks files in memory
        export(module, (images,), buffer, dynamo=False)
    return buffer.getvalue()
