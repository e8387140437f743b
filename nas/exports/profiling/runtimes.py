"""Runtimes whose latency is measured: a network with random weights on fixed random images, as a call."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.fx import symbolic_trace

from nas.exports.int8 import CalibrationBatches, quantise
from nas.exports.libraries import lacking, optional
from nas.exports.profiling.turns import Call
from nas.objectives.latency.files import LatencyOptions
from search_space.graph import Graph
from search_space.network import build

COMPILING = "torch_compile"
"""Runtime that compiles each network for seconds."""
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
    if lack := missing(options.runtime):
        raise ValueError(lack)
    return RUNTIMES[options.runtime](graph, options)


def missing(runtime: str) -> str | None:
    """Return a line that names what a runtime lacks on this machine, and how to install it; None if it lacks nothing.

    Args:
        runtime: one of `RUNTIMES`.
    """
    name = f"runtime={runtime}"
    match runtime:
        case _ if runtime == COMPILING:
            compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
            if shutil.which(compiler) is None:
                return f"{name} needs a C++ compiler, there is no {compiler}: install it, or name another in CXX"
        case "onnxruntime":
            return lacking(name, ("onnx", "onnxruntime"), "'inception-nas[export]'")
        case "openvino":
            return lacking(name, ("onnx", "openvino"), "'inception-nas[export,openvino]'")
    return None


def _torch(graph: Graph, options: LatencyOptions) -> Call:
    module, images = _on_device(graph, options)
    return _inference(module, images, options)


def _torch_compile(graph: Graph, options: LatencyOptions) -> Call:
    """Compile a network by inductor, for its own batch size.

    The traced copy of each network has a program of its own: programs that several modules share are compiled for a few
    of them only, and interpreted for the others.
    """
    module, images = _on_device(graph, options)
    call = _inference(torch.compile(symbolic_trace(module), dynamic=False), images, options)
    call()  # compiles it
    return call


def _on_device(graph: Graph, options: LatencyOptions) -> tuple[nn.Module, Tensor]:
    """Return a network and its images in the precision and on the device of the options.

    Raises:
        ValueError: torch lacks the precision or the device.
    """
    if options.precision not in DTYPES:
        raise ValueError(
            f"precision of {options.runtime} must be one of {', '.join(DTYPES)}, got {options.precision!r}"
        )
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device=cuda needs a GPU, torch finds none here")
    torch.set_num_threads(options.threads)
    dtype, device = DTYPES[options.precision], torch.device(options.device)
    return _module(graph).to(device, dtype), _images(graph, options.batch).to(device, dtype)


def _inference(module: Callable[[Tensor], object], images: Tensor, options: LatencyOptions) -> Call:
    def call() -> object:
        with torch.inference_mode():
            return module(images)

    return CudaCall(call) if options.device == "cuda" else call


def _onnxruntime(graph: Graph, options: LatencyOptions) -> Call:
    _check_file_runtime(options, ("float32", "int8"))
    runtime: Any = optional("onnxruntime")
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads, settings.inter_op_num_threads = options.threads, 1
    images = _images(graph, options.batch)
    content = onnx_of(graph, options.batch)
    if options.precision == "int8":
        content = _int8(content, images)
    session = runtime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: images.numpy()}
    return lambda: session.run(None, inputs)


def _openvino(graph: Graph, options: LatencyOptions) -> Call:
    _check_file_runtime(options, ("float32", "bfloat16"))
    library: Any = optional("openvino")
    images, core = _images(graph, options.batch), library.Core()
    if options.precision == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ValueError("runtime=openvino runs bfloat16 in float32 on this processor, which has no such numbers")
    with tempfile.TemporaryDirectory(prefix="nas-openvino-") as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(onnx_of(graph, options.batch))
        settings = {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[options.precision],
            "INFERENCE_NUM_THREADS": options.threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        request = core.compile_model(core.read_model(path), "CPU", settings).create_infer_request()
    pixels = images.numpy()
    return lambda: request.infer([pixels], share_inputs=True, share_outputs=True)


def _check_file_runtime(options: LatencyOptions, precisions: tuple[str, ...]) -> None:
    """Raise if a runtime of exported files lacks the precision or the device."""
    if options.precision not in precisions or options.device != "cpu":
        raise ValueError(
            f"runtime={options.runtime} is measured in {' or '.join(precisions)} on the cpu, "
            f"got {options.precision} on {options.device}"
        )


RUNTIMES: Mapping[str, Callable[[Graph, LatencyOptions], Call]] = {
    "torch": _torch,
    COMPILING: _torch_compile,
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}


def _module(graph: Graph) -> nn.Module:
    """Return a network with random weights in evaluation mode; the caller's random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(graph).eval()


def _images(graph: Graph, batch: int) -> Tensor:
    """Return random images (batch, C, H, W)."""
    return torch.randn(batch, *graph.input, generator=torch.Generator().manual_seed(0))


def onnx_of(graph: Graph, batch: int) -> bytes:
    """Return a network with random weights as an ONNX model of float32 images (batch, C, H, W).

    The exporter is that of TorchScript, which takes a tenth of the time of the newer one.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter is deprecated, and its graphs run alike
        export: Any = torch.onnx.export  # torch's stub lacks files in memory
        export(_module(graph), (_images(graph, batch),), buffer, dynamo=False)
    return buffer.getvalue()


def _int8(content: bytes, images: Tensor) -> bytes:
    """Return an ONNX model with weights and activations of 8 bits, calibrated on random images."""
    model: Any = optional("onnx").load_from_string(content)
    with tempfile.TemporaryDirectory(prefix="nas-int8-") as folder:
        source, target = Path(folder, "model.onnx"), Path(folder, "model.int8.onnx")
        source.write_bytes(content)
        batches = CalibrationBatches(images.numpy(), model.graph.input[0].name, len(images))
        quantise(source, target, batches, weight_bits=7)
        return target.read_bytes()
