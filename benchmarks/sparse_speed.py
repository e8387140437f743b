"""Speed of compressed sparse rows (CSR) against dense weights on this device, by sparsity and size of the layer.

Dense layers are torch's linear and convolution. A sparse linear layer is the product of its CSR matrix with the batch;
a sparse convolution that of its CSR matrix with the patches of the images (im2col, which is part of its time; a 1×1
convolution needs none). Both are done by torch.sparse and by scipy.sparse. The weights are random with the given share
of zeros. Dense and sparse run one after another in random order, so that a drift of the machine meets all; the ratio is
the median over pairs of processor seconds dense / processor seconds sparse of the one thread, with a 95 % bootstrap
interval: above 1, CSR is faster. On a CUDA device of compute capability 8.0 or more, 2:4 weights of 16 bits are timed
too.

    python benchmarks/sparse_speed.py [--pairs 15] [--batches 1 64] [--sparsities 0.5 0.7 ...] [--rows FILE] [--quick]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.nn import functional

from nas.jobs.processor import processor_name

SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
LIBRARIES = ("torch.sparse", "scipy.sparse")
LEAST_SECONDS = 0.004
"""Shortest time of one measurement: short calls are repeated within it."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Layer:
    """Layer to time.

    Attributes:
        name: of the row.
        inputs: input channels, or features.
        outputs: output channels, or features.
        kernel: side of the filters; 0 for a linear layer.
        side: height and width of the images.
    """

    name: str
    inputs: int
    outputs: int
    kernel: int = 0
    side: int = 1

    @property
    def columns(self) -> int:
        """Weights of an output."""
        return self.inputs * max(1, self.kernel) ** 2

    def images(self, batch: int) -> Tensor:
        """Return random inputs (N, features) or (N, C, H, W)."""
        shape = (batch, self.inputs, self.side, self.side) if self.kernel else (batch, self.inputs)
        return torch.randn(shape, generator=torch.Generator().manual_seed(1))

    def weight(self, sparsity: float) -> Tensor:
        """Return random weights (outputs, columns) with a share of zeros."""
        generator = torch.Generator().manual_seed(0)
        weight = torch.randn(self.outputs, self.columns, generator=generator)
        gone = torch.randperm(weight.numel(), generator=generator)[: round(sparsity * weight.numel())]
        weight.view(-1)[gone] = 0
        return weight

    def matrix(self, images: Tensor) -> Tensor:
        """Return the matrix (columns, N × positions) that the weights are multiplied with."""
        if not self.kernel:
            return images.t().contiguous()
        if self.kernel == 1:
            return images.transpose(0, 1).reshape(self.inputs, -1)
        patches = functional.unfold(images, self.kernel, padding=self.kernel // 2)  # (N, columns, positions)
        return patches.transpose(0, 1).reshape(self.columns, -1)

    def shaped(self, product: Tensor, batch: int) -> Tensor:
        """Return the layer's output from the product (outputs, N × positions)."""
        if not self.kernel:
            return product.t()
        return product.reshape(self.outputs, batch, self.side, self.side).transpose(0, 1)


LAYERS = (
    Layer("linear 256 → 256", 256, 256),
    Layer("linear 1024 → 1024", 1024, 1024),
    Layer("linear 4096 → 4096", 4096, 4096),
    Layer("conv 1×1, 64 → 64 at 16×16", 64, 64, 1, 16),
    Layer("conv 1×1, 256 → 256 at 8×8", 256, 256, 1, 8),
    Layer("conv 3×3, 32 → 32 at 16×16", 32, 32, 3, 16),
    Layer("conv 3×3, 128 → 128 at 8×8", 128, 128, 3, 8),
    Layer("conv 3×3, 512 → 512 at 4×4", 512, 512, 3, 4),
)
Call = Callable[[], Any]
Clock = Callable[[], float]


def calls(layer: Layer, sparsity: float, batch: int) -> dict[str, Call]:
    """Return the same computation dense and by each library, each checked against the first."""
    weight, images = layer.weight(sparsity), layer.images(batch)
    filters = weight.reshape(layer.outputs, layer.inputs, layer.kernel, layer.kernel) if layer.kernel else weight
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        torch_csr = weight.to_sparse_csr()
    scipy_csr: Any = csr_matrix(weight.numpy())

    def dense() -> Tensor:
        if layer.kernel:
            return functional.conv2d(images, filters, padding=layer.kernel // 2)
        return functional.linear(images, filters)

    def by_torch() -> Tensor:
        return layer.shaped(torch_csr @ layer.matrix(images), batch)

    def by_scipy() -> Tensor:
        product: NDArray[np.float32] = scipy_csr @ layer.matrix(images).numpy()
        return layer.shaped(torch.from_numpy(product), batch)

    found: dict[str, Call] = {"dense": dense, LIBRARIES[0]: by_torch, LIBRARIES[1]: by_scipy}
    expected = dense()
    for name, call in found.items():
        torch.testing.assert_close(call(), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()), msg=name)
    return found


def seconds(call: Call, repeats: int, clock: Clock = time.thread_time) -> float:
    """Return the seconds of one call."""
    start = clock()
    for _ in range(repeats):
        call()
    return (clock() - start) / repeats


def ratios(
    found: Mapping[str, Call], pairs: int, generator: random.Random, clock: Clock = time.thread_time
) -> dict[str, list[float]]:
    """Return seconds dense / seconds sparse of each round, by library, and the seconds dense under `dense`."""
    once = {name: min(seconds(call, 1, clock) for _ in range(3)) for name, call in found.items()}
    repeats = {name: max(1, math.ceil(LEAST_SECONDS / max(1e-7, took))) for name, took in once.items()}
    result: dict[str, list[float]] = {name: [] for name in found}
    order = list(found)
    for number in range(pairs + 1):
        generator.shuffle(order)
        took = {name: seconds(found[name], repeats[name], clock) for name in order}
        if number:  # the first one warms up
            for name in found:
                result[name].append(took["dense"] if name == "dense" else took["dense"] / took[name])
    return result


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median and its 95 % bootstrap interval."""
    array = np.asarray(values)
    drawn = np.random.default_rng(0).integers(0, len(array), (RESAMPLES, len(array)))
    low, high = np.quantile(np.median(array[drawn], axis=1), (0.025, 0.975))
    return float(np.median(array)), float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--sparsities", type=float, nargs="+", default=list(SPARSITIES))
    parser.add_argument("--rows", type=Path, help="file of finished rows, which are not timed again")
    parser.add_argument("--quick", action="store_true", help="three small layers alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    layers = [LAYERS[index] for index in (0, 3, 5)] if arguments.quick else list(LAYERS)
    known = _known(arguments.rows)
    console = Console(width=210)
    for batch in arguments.batches:
        rows = [_row(layer, batch, arguments, known) for layer in layers]
        console.print(_table(rows, f"seconds dense / seconds CSR, batch {batch}, {arguments.pairs} pairs", arguments))
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "scipy"))
    console.print(
        f"{processor_name()}, one thread, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {packages}"
    )
    console.print(semi_structured(arguments.pairs))


def _known(path: Path | None) -> dict[str, dict[str, list[float]]]:
    lines = path.read_text(encoding="utf-8").splitlines() if path and path.is_file() else []
    return {row["key"]: row["ratios"] for row in map(json.loads, lines)}


def _row(
    layer: Layer, batch: int, arguments: argparse.Namespace, known: dict[str, dict[str, list[float]]]
) -> tuple[str, list[dict[str, list[float]]]]:
    found = []
    for sparsity in arguments.sparsities:
        key = json.dumps([layer.name, batch, sparsity, arguments.pairs])
        if key not in known:
            known[key] = ratios(calls(layer, sparsity, batch), arguments.pairs, random.Random(key))
            if arguments.rows:
                with arguments.rows.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"key": key, "ratios": known[key]}) + "\n")
        found.append(known[key])
    return layer.name, found


def _table(rows: Sequence[tuple[str, list[dict[str, list[float]]]]], title: str, arguments: Any) -> Table:
    table = Table(title=title)
    for name in ("layer", "dense, µs", "library", *(f"{share:.0%}" for share in arguments.sparsities)):
        table.add_column(name, justify="left" if name in ("layer", "library") else "right")
    table.add_column("faster from")
    for layer, found in rows:
        dense = np.median([value for row in found for value in row["dense"]]) * 1e6
        for library in LIBRARIES:
            each = [interval(row[library]) for row in found]
            cells = [f"{middle:.2f} [{low:.2f}, {high:.2f}]" for middle, low, high in each]
            lows = [low for _, low, _ in each]
            table.add_row(layer, f"{dense:.0f}", library, *cells, faster_from(arguments.sparsities, lows))
    return table


def faster_from(sparsities: Sequence[float], lows: Sequence[float]) -> str:
    """Return the sparsity from which on every interval lies above 1, or `never`.

    >>> faster_from([0.5, 0.8, 0.9], [1.1, 0.7, 1.2]), faster_from([0.5, 0.8], [1.1, 0.7])
    ('90%', 'never')
    """
    slower = [index for index, low in enumerate(lows) if low <= 1]
    first = slower[-1] + 1 if slower else 0
    return f"{sparsities[first]:.0%}" if first < len(sparsities) else "never"


def semi_structured(pairs: int) -> str:
    """Return a line on the speed of 2:4 weights of 16 bits, or the reason why it is not shown."""
    if not torch.cuda.is_available() or torch.cuda.get_device_capability()[0] < 8:
        return "2:4 not timed: it takes a CUDA device of compute capability 8.0 or more"
    weight = torch.randn(4096, 4096, device="cuda", dtype=torch.float16)
    mask = torch.tensor([0, 0, 1, 1], device="cuda", dtype=torch.bool).tile(4096, 1024)
    batch = torch.randn(4096, 4096, device="cuda", dtype=torch.float16)
    sparse = torch.sparse.to_sparse_semi_structured(weight * mask)

    def timed(matrix: Any) -> Call:
        def call() -> None:
            torch.mm(matrix, batch)
            torch.cuda.synchronize()

        return call

    found = ratios({"dense": timed(weight * mask), "2:4": timed(sparse)}, pairs, random.Random(0), time.perf_counter)
    middle, low, high = interval(found["2:4"])
    device = torch.cuda.get_device_name()
    return f"2:4, linear 4096 → 4096 at batch 4096 on {device}: dense / 2:4 {middle:.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
