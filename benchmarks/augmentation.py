"""Processor time of an epoch of augmented batches, over that of plain ones, and over kornia's.

The loader yields shuffled batches of random images, which are laid out in memory as for training. In every run, each
augmentation has an epoch of its own, in an order drawn anew; so have kornia's augmentations of the same name, behind
the same normalisation, on the same chunks. Printed are medians over the runs of the ratio to the plain loader of the
same run, with a 95 % interval of the median by bootstrap.

    python benchmarks/augmentation.py [--images 2048] [--batch 64] [--runs 9] [--threads 1]
"""

from __future__ import annotations

import argparse
import platform
import random
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

import kornia.augmentation as kornia
import torch
from kornia.augmentation.auto import RandAugment, TrivialAugment
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from nas.config.augmentation import AugmentationSpec
from nas.config.data import DataSpec
from nas.config.training import Recipe
from nas.data import ImageData, ImageSet, TensorLoader, make_augmentation, train_loader
from nas.data.augment.base import MixingAugmentation, PixelAugmentation
from nas.data.augment.pipeline import AUGMENTATION, Augmentation

SHAPES = ((1, 8, 8), (3, 16, 16), (3, 32, 32))
CLASSES = 10
PLAIN = "plain"
TOGETHER = ("crop", "flip")
Shape = tuple[int, int, int]


# --- kornia's


class OfKornia(nn.Module):
    """kornia's augmentation of normalised images."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        """Call it."""
        return self.module(images)


class OfKorniaOnPixels(OfKornia, PixelAugmentation):
    """kornia's augmentation of images in [0, 1]."""


class OfKorniaMixing(MixingAugmentation):
    """kornia's augmentation that mixes labels, which it returns as pairs with a share."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor, targets: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        """Call it, and return shares of the classes as ours do."""
        mixed, pairs = self.module(images, targets.argmax(1))
        pairs = pairs.view(-1, 3)
        first, second = (nn.functional.one_hot(pairs[:, column].long(), targets.shape[1]) for column in (0, 1))
        return mixed, torch.lerp(first.float(), second.float(), pairs[:, 2:])


def kornias(shape: Shape) -> dict[str, tuple[nn.Module, ...]]:
    """Return kornia's augmentations, by the names of ours."""
    size, padding = shape[1:], max(1, round(0.125 * shape[1]))
    keys = ["input", "class"]
    crop, flip = kornia.RandomCrop(size, padding=padding), kornia.RandomHorizontalFlip(p=0.5)
    saturation = 0.4 if shape[0] == 3 else 0.0
    found: dict[str, tuple[nn.Module, ...]] = {
        "crop": (OfKornia(crop),),
        "flip": (OfKornia(flip),),
        "+".join(TOGETHER): (OfKornia(crop), OfKornia(flip)),
        "random_resized_crop": (OfKornia(kornia.RandomResizedCrop(size)),),
        "cutout": (OfKornia(kornia.RandomErasing(scale=(0.25, 0.25), ratio=(1.0, 1.0), p=1.0)),),
        "color_jitter": (OfKorniaOnPixels(kornia.ColorJitter(0.4, 0.4, saturation, 0.0)),),
        "mixup": (OfKorniaMixing(kornia.RandomMixUpV2(data_keys=keys)),),
        "cutmix": (OfKorniaMixing(kornia.RandomCutMixV2(data_keys=keys, use_correct_lambda=True)),),
    }
    if shape[0] == 3:  # some of their operations are of colors alone
        found["rand_augment"] = (OfKorniaOnPixels(RandAugment(n=2, m=9)),)
        found["trivial_augment"] = (OfKorniaOnPixels(TrivialAugment()),)
    return found


# --- one run


@dataclass(frozen=True)
class Contest:
    """Loaders of one shape, by whose they are and the name of their augmentation."""

    shape: Shape
    loaders: dict[tuple[str, str], TensorLoader]

    @classmethod
    def of(cls, shape: Shape, images: int, batch: int) -> Contest:
        """Make loaders of so many random images."""
        pixels = torch.randint(0, 256, (images, *shape), dtype=torch.uint8)
        part = ImageSet(pixels, torch.randint(CLASSES, (images,)))
        classes = tuple(map(str, range(CLASSES)))
        data = ImageData(part, part, classes, (0.5,) * shape[0], (0.25,) * shape[0], "random", shape)

        def loader(augment: Augmentation) -> TensorLoader:
            return train_loader(data, augment, batch, seed=0)

        loaders = {}
        for name in (PLAIN, *AUGMENTATION.names(), "+".join(TOGETHER)):
            names = () if name == PLAIN else name.split("+")
            recipe = Recipe(augmentation=tuple(AugmentationSpec(each, each) for each in names))
            loaders["ours", name] = loader(make_augmentation(DataSpec(), recipe, shape, CLASSES))
        for name, modules in kornias(shape).items():
            loaders["kornia's", name] = loader(
                Augmentation(
                    pixels=tuple(each for each in modules if isinstance(each, PixelAugmentation)),
                    images=tuple(each for each in modules if type(each) is OfKornia),
                    mixing=tuple(each for each in modules if isinstance(each, MixingAugmentation)),
                    classes=CLASSES,
                )
            )
        return cls(shape, loaders)

    def run(self, number: int) -> dict[tuple[str, str], float]:
        """Return the processor seconds of one epoch of each loader, in random order."""
        order = list(self.loaders)
        random.Random(number).shuffle(order)
        return {key: _seconds(self.loaders[key], number) for key in order}


def _seconds(loader: TensorLoader, epoch: int) -> float:
    loader.set_epoch(epoch)
    began = time.process_time()
    for images, _ in loader:
        images.contiguous(memory_format=torch.channels_last)
    return time.process_time() - began


# --- all runs


def interval(values: list[float], draws: int = 2000) -> tuple[float, float]:
    """Return a 95 % interval of the median by bootstrap."""
    chance = random.Random(0)
    medians = sorted(statistics.median(chance.choices(values, k=len(values))) for _ in range(draws))
    return medians[round(0.025 * draws)], medians[round(0.975 * draws) - 1]


def shown(values: list[float]) -> str:
    low, high = interval(values)
    return f"{statistics.median(values):.2f} [{low:.2f}, {high:.2f}]"


def report(contest: Contest, runs: list[dict[tuple[str, str], float]], images: int) -> Table:
    """Return the ratios of one shape as a table."""
    base = statistics.median(run["ours", PLAIN] for run in runs)
    size = "x".join(map(str, contest.shape))
    table = Table(title=f"{size}: plain takes {1e6 * base / images:.2f} µs of the processor an image (n = {len(runs)})")
    for heading in ("augmentation", "ours / plain", "kornia's / plain", "ours / kornia's"):
        table.add_column(heading, justify="right" if "/" in heading else "left")
    ratio: Callable[[tuple[str, str], tuple[str, str]], str] = lambda one, other: shown(  # noqa: E731
        [run[one] / run[other] for run in runs]
    )
    for name in sorted({name for _, name in contest.loaders} - {PLAIN}):
        ours, theirs, plain = ("ours", name), ("kornia's", name), ("ours", PLAIN)
        both = theirs in contest.loaders
        table.add_row(name, ratio(ours, plain), *((ratio(theirs, plain), ratio(ours, theirs)) if both else ("", "")))
    return table


def main() -> None:
    """Run all shapes and print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2048)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore")
    console = Console(width=110)
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "kornia"))
    console.print(f"{platform.processor() or platform.machine()}, {arguments.threads} thread(s), {versions}")
    for shape in SHAPES:
        contest = Contest.of(shape, arguments.images, arguments.batch)
        contest.run(0)  # a first epoch of each prepares
        runs = [contest.run(number) for number in range(1, arguments.runs + 1)]
        console.print(report(contest, runs, arguments.images))


if __name__ == "__main__":
    main()
