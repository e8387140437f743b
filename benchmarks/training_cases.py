"""Networks, random images and timed pairs, for programs that measure trainings."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml

from nas.config.data import DataSpec
from nas.config.training import Recipe
from nas.data import ImageData, evaluation_loader, make_augmentation, train_loader
from nas.data.tensors import from_tensors
from nas.evaluation.trial_runner import TrialData, TrialRunner, validation_batch
from nas.jobs import Control, Epoch, Job, Outcome
from search_space.architecture import Architecture
from search_space.cost import cost
from search_space.graph import Shape
from search_space.lowering import lower
from search_space.space import Space, parse_space

CLASSES = 10
DRAWS = 400
RESAMPLES = 2000
SPACES = Path(__file__).resolve().parents[1] / "conf" / "space"
AUGMENTED = DataSpec(name="random", val_fraction=0.3, flip=True, crop_padding=2)


@dataclass(frozen=True)
class Case:
    """A network and the images that it trains on.

    Attributes:
        name: of the case.
        space: name of the space that the network is drawn from.
        shape: (C, H, W) of the images.
        params: number of parameters of the network, about.
        images: number of images, those to validate on included.
    """

    name: str
    space: str
    shape: tuple[int, int, int]
    params: int
    images: int

    def architecture(self) -> Architecture:
        """Return the random network whose number of parameters is the nearest."""
        space, generator = self._space(), random.Random(0)
        drawn = [space.draw(generator) for _ in range(DRAWS)]
        return min(drawn, key=lambda each: abs(cost(lower(each)).params - self.params))

    def data(self) -> ImageData:
        """Return random images."""
        generator = torch.Generator().manual_seed(0)
        pixels = torch.randint(0, 256, (self.images, *self.shape), generator=generator, dtype=torch.uint8)
        return from_tensors(pixels, torch.arange(self.images) % CLASSES, tuple("abcdefghij"), spec=AUGMENTED)

    def _space(self) -> Space:
        mapping = yaml.safe_load((SPACES / f"{self.space}.yaml").read_text(encoding="utf-8"))
        return parse_space(mapping, Shape(*self.shape), CLASSES)


CASES = {
    case.name: case
    for case in (
        Case("2k", "quick", (3, 16, 16), 2_000, 6_400),
        Case("30k", "quick", (1, 8, 8), 30_000, 1_797),
        Case("300k", "cifar", (3, 32, 32), 300_000, 900),
    )
}


class NullControl:
    """Control that ignores epochs and never stops a training."""

    def epoch_done(self, row: Epoch) -> None:
        """Ignore the epoch."""

    def should_stop(self) -> bool:
        """Return False."""
        return False

    def member(self, index: int) -> Control:  # noqa: ARG002 - of the protocol
        """Return itself."""
        return self


def loaders(data: ImageData, recipe: Recipe, seed: int) -> TrialData:
    """Return the loaders of a training."""
    at_once = validation_batch(data.shape, recipe.batch_size, "cpu")
    augment = make_augmentation(AUGMENTED, recipe, data.shape, CLASSES)
    training = train_loader(data, augment, recipe.batch_size, seed=seed)
    return TrialData(training, evaluation_loader(data, at_once), CLASSES)


def train(data: ImageData, architecture: Architecture, recipe: Recipe, seeds: Sequence[int], folder: Path) -> Outcome:
    """Train a network with one seed, or with several in a pack.

    Raises:
        RuntimeError: it failed.
    """
    jobs = [Job(seed, 1, architecture.to_json(), seed, 0, recipe.epochs, folder / str(seed)) for seed in seeds]
    job = Job(**{**vars(jobs[0]), "pack": tuple(jobs[1:])})
    runner = TrialRunner(AUGMENTED, recipe, threads=1, accelerator="cpu")
    given = [loaders(data, recipe, seed) for seed in seeds]
    outcome = runner.train_on(given, job, [NullControl()] * len(seeds))
    if outcome.failed:
        raise RuntimeError(f"a training must end, got {outcome.failure}")
    return outcome


def seconds(work: Callable[[Path], object]) -> float:
    """Return the processor seconds of some work in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        work(Path(folder))
        return time.process_time() - began


def paired(
    first: Callable[[Path], object], second: Callable[[Path], object], repeats: int
) -> list[tuple[float, float]]:
    """Return the processor seconds of two works, in turn and in alternating order, after one run of each."""
    seconds(first), seconds(second)
    found = []
    for number in range(repeats):
        if number % 2:
            later = seconds(second)
            found.append((seconds(first), later))
        else:
            found.append((seconds(first), seconds(second)))
    return found


def median_with_interval(values: Sequence[float], level: float = 0.95) -> str:
    """Return the median and its bootstrap interval, as text."""
    generator = np.random.default_rng(0)
    medians = np.median(generator.choice(np.asarray(values), (RESAMPLES, len(values))), axis=1)
    low, high = np.quantile(medians, ((1 - level) / 2, (1 + level) / 2))
    return f"{statistics.median(values):.2f} [{low:.2f}, {high:.2f}]"
