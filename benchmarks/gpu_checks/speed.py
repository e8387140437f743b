"""Checks of speed: waits for the device, its busy share, and trainings beside plain loops."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.profiler_util import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile

from gpu_checks.base import Context, Figures, Skipped, require
from gpu_checks.noting import Around, noting
from gpu_checks.trainings import (
    RECIPE,
    Training,
    curve,
    inception,
    loaders,
    network_of,
    params,
    patterned,
    synchronize,
    together,
)
from nas.config.training import Recipe
from nas.evaluation.trial_runner import TrialData
from nas.training.batches import TrainLoader
from nas.training.device import configure_gpu
from nas.training.losses import training_loss
from search_space.graph import Shape
from search_space.references import REFERENCES

COLOUR = Shape(3, 32, 32)
BUSY, SLOWER, FASTER, NEAR = 0.9, 1.05, 5.0, 0.95
"""Goals: least busy share, most time over a plain loop's, least gain of small networks, least speed over theirs."""
LOOPS = (("small", 16, 2, 64, 250), ("large", 96, 3, 512, 25))
"""Networks beside a plain loop: name, width, blocks, images a batch, and batches of all images."""
BATCH, LABELS = 64, 1000
"""Images of a step of GoogLeNet, and their classes."""
SMALL_IMAGES, PACKS = 6400, (1, 4, 16)


@dataclass
class Watched:
    """Training batches of which one epoch, with its steps, is in a context.

    Attributes:
        loader: the batches.
        epoch: the epoch, 0-based.
        around: makes the context.
        now: epoch of the next iteration.
    """

    loader: TrainLoader
    epoch: int
    around: Around
    now: int = 0

    def __len__(self) -> int:
        return len(self.loader)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.now = epoch
        self.loader.set_epoch(epoch)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        with self.around() if self.now == self.epoch else nullcontext():
            yield from self.loader


def synchronisations(context: Context) -> Figures:
    """Count the calls that wait for the device in an epoch of plain, of packed and of graphed steps."""
    configure_gpu(deterministic=False)
    images, figures = patterned(4096), {}
    recipe = replace(RECIPE, epochs=3, ema_decay=0.9, gradient_clip=1.0)
    plain = Training(inception(COLOUR, 8, dropout=0.1), images, recipe, context.device, context.folder / "plain")
    graphed = replace(plain, recipe=replace(recipe, cuda_graph=True), folder=context.folder / "graphed")
    found: Counter[str] = Counter()
    for name, training in (("plain", plain), ("graphed", graphed)):
        places: Counter[str] = Counter()
        data = loaders(images, recipe, context.device)
        watched: Any = Watched(data.train_loader, 2, noting(places))
        curve(training.run(data=replace(data, train_loader=watched)))
        figures[name] = dict(places)
        found += places
    require(not found, f"no step may wait for the device, {sum(found.values())} calls did", figures)
    return figures


def busy(context: Context) -> Figures:
    """Compare the kernels' time of an epoch with the time of the same epoch without a profiler."""
    configure_gpu(deterministic=False)
    graph, images = inception(COLOUR, 96, 3), patterned(512 * 25)
    recipe = Recipe(epochs=3, batch_size=512, learning_rate=0.05, precision=_precision())
    seconds, kernels = _Timer(context.device), profile(activities=[ProfilerActivity.CUDA])
    training = Training(graph, images, recipe, context.device, context.folder)
    data = loaders(images, recipe, context.device)
    timed: Any = Watched(data.train_loader, 1, seconds)
    profiled: Any = Watched(timed, 2, lambda: _profiling(kernels))
    curve(training.run(data=replace(data, train_loader=profiled)))
    spans = [
        (event.time_range.start, event.time_range.end)
        for event in kernels.events() or ()  # type: ignore[no-untyped-call]
        if event.device_type == DeviceType.CUDA and not getattr(event, "is_user_annotation", False)
    ]
    share = covered(spans) / 1e6 / seconds.found[0]
    figures = {
        "busy": share,
        "goal": BUSY,
        "params": params(graph),
        "images_a_second": _images(data) / seconds.found[0],
    }
    require(share >= BUSY, f"the device must be busy {BUSY} of an epoch, it was {share:.2f}", figures)
    return figures


def covered(spans: Sequence[tuple[float, float]]) -> float:
    """Return the length that intervals cover, each part once.

    >>> covered([(0, 2), (1, 3), (5, 6)])
    4
    """
    length, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        length += max(0, stop - max(start, end))
        end = max(end, stop)
    return length


def hand_loop(context: Context) -> Figures:
    """Compare epochs of ours with those of a plain loop over the same batches, validation included."""
    configure_gpu(deterministic=False)
    figures: dict[str, float] = {}
    for name, width, blocks, batch_size, steps in LOOPS:
        graph, images = inception(COLOUR, width, blocks), patterned(steps * batch_size)
        recipe = Recipe(epochs=8, batch_size=batch_size, learning_rate=0.05, precision=_precision())
        training = Training(graph, images, recipe, context.device, context.folder / name)
        outcome = training.run()
        curve(outcome)
        ours = statistics.median(row.seconds for row in outcome.curve[2:])
        data = loaders(images, recipe, context.device)
        theirs = statistics.median(_plain_epochs(network_of(graph), data, recipe, context.device)[2:])
        figures |= {f"{name}, ours over a plain loop": ours / theirs, f"{name}, images a second": _images(data) / ours}
    worst = max(value for name, value in figures.items() if "plain loop" in name)
    require(worst <= SLOWER, f"an epoch must take {SLOWER} times a plain loop's at most, got {worst:.2f}", figures)
    return figures


def _plain_epochs(network: nn.Module, data: TrialData, recipe: Recipe, device: str) -> list[float]:
    """Return the seconds of the epochs of a training by hand."""
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(network.parameters(), lr=recipe.learning_rate, momentum=0.9, nesterov=True, fused=True)
    seconds = []
    for epoch in range(recipe.epochs):
        synchronize(device)
        began = time.perf_counter()
        data.train_loader.set_epoch(epoch)
        network.train()
        for images, labels in data.train_loader:
            _step(network, optimizer, images, labels)
        network.eval()
        right = torch.zeros((), device=device)
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=recipe.precision != "32-true"):
            for images, labels in data.val_loader:
                right += (network(images).argmax(1) == labels).sum()
        right.item()
        seconds.append(time.perf_counter() - began)
    return seconds


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor) -> None:
    with torch.autocast(images.device.type, torch.bfloat16, enabled=_precision() != "32-true"):
        loss = training_loss(network(images), labels, 0.0).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    optimizer.zero_grad()


def small_networks(context: Context) -> Figures:
    """Compare seconds of an epoch of a network of 2,000 parameters: plain, in packs, as graphs, and both."""
    configure_gpu(deterministic=False)
    graph, images = inception(Shape(1, 16, 16), 4), patterned(SMALL_IMAGES, 16, 1)
    recipe = Recipe(epochs=4, batch_size=64, learning_rate=0.05)
    seconds = {}
    for graphed in (False, True):
        for members in PACKS:
            trainings = [
                Training(
                    graph,
                    images,
                    replace(recipe, cuda_graph=graphed),
                    context.device,
                    context.folder / f"{graphed}-{members}-{seed}",
                    seed,
                )
                for seed in range(members)
            ]
            first, *_ = together(trainings)
            curve(first)
            name = f"{'graphed' if graphed else 'plain'}, packs of {members}"
            seconds[name] = statistics.median(row.seconds for row in first.curve[1:])
    figures = {name: seconds["plain, packs of 1"] / value for name, value in seconds.items()}
    best = max(figures.values())
    figures["params"] = params(graph)
    require(best >= FASTER, f"small networks must train {FASTER} times faster, got {best:.1f}", figures)
    return figures


def latency(context: Context) -> Figures:
    """Measure seconds of a prediction, of one image and of 256."""
    network = network_of(inception(COLOUR, 16)).to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.eval()
    figures = {}
    for count in (1, 256):
        images = torch.randn(count, 3, 32, 32, device=context.device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            figures[f"ms_of_{count}"] = 1000 * _median_seconds(partial(network, images), context.device)
    return figures


def googlenet(context: Context) -> Figures:
    """Compare training steps of our googlenet and torchvision's."""
    try:
        from torchvision import models  # type: ignore[import-not-found]  # noqa: PLC0415 - no dependency of ours
    except ImportError as error:
        raise Skipped("torchvision is not installed") from error
    theirs = models.googlenet(weights=None, aux_logits=True, init_weights=False)
    ours = network_of(REFERENCES["googlenet"]())
    images = torch.randn(BATCH, 3, 224, 224, device=context.device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(LABELS, (BATCH,), device=context.device)
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    steps = {"ours": _stepper(ours, images, labels), "theirs": _stepper(_Heads(theirs), images, labels)}
    for _ in range(12):
        for name, step in steps.items():
            times[name].append(_timed(step, context.device))
    figures = {f"images_a_second_{name}": BATCH / statistics.median(each[3:]) for name, each in times.items()}
    ratio = figures["images_a_second_ours"] / figures["images_a_second_theirs"]
    figures["ours_over_theirs"] = ratio
    require(ratio >= NEAR, f"ours must be {NEAR} times as fast as torchvision's at least, got {ratio:.2f}", figures)
    return figures


class _Heads(nn.Module):
    """torchvision's GoogLeNet with the outputs of ours."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Any:
        logits, *heads = self.network(images)
        return logits, [(head, 0.3) for head in heads]


def _stepper(network: nn.Module, images: Tensor, labels: Tensor) -> Callable[[], None]:
    network.to(images.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, fused=True)
    return lambda: _step(network, optimizer, images, labels)


def _median_seconds(function: Callable[[], object], device: str) -> float:
    """Return the median of the seconds of up to 30 calls in about two seconds, after one that warms up."""
    _timed(function, device)
    began, times = time.perf_counter(), list[float]()
    while len(times) < 30 and (len(times) < 3 or time.perf_counter() - began < 2):
        times.append(_timed(function, device))
    return statistics.median(times)


def _timed(function: Callable[[], object], device: str) -> float:
    synchronize(device)
    began = time.perf_counter()
    function()
    synchronize(device)
    return time.perf_counter() - began


class _Timer:
    """Maker of contexts that measure their seconds."""

    def __init__(self, device: str) -> None:
        self.found: list[float] = []
        self._device = device

    @contextmanager
    def __call__(self) -> Iterator[None]:
        synchronize(self._device)
        began = time.perf_counter()
        yield
        synchronize(self._device)
        self.found.append(time.perf_counter() - began)


@contextmanager
def _profiling(kernels: profile) -> Iterator[None]:
    torch.cuda.synchronize()
    with kernels:
        yield
        torch.cuda.synchronize()


def _precision() -> str:
    return "bf16-mixed" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "32-true"


def _images(data: TrialData) -> int:
    return len(data.train_loader) * data.train_loader.batch_size
