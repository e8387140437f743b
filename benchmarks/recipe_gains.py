"""Gain of each ingredient of a recipe, added to `training=quick` or removed from `training=cifar`, one by one.

All trainings of one seed share their initial weights, and each ingredient is compared with the recipe without it seed
by seed, on the validation part and on the test part. The recipe was chosen by the validation part.

The setting is reduced, so that the table takes about an hour on one core: CIFAR-10 at 16×16, 6,000 training images, 12
epochs, one network of the space `cifar`. Finished trainings stand in --rows and are not repeated.

    python benchmarks/recipe_gains.py DATA [--seeds 3] [--rows gains.jsonl] [--only added removed] [--known]
        [--overrides ...]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from recipe_trainings import Rows, Training, points, pooled_half_widths, print_circumstances
from rich.console import Console
from rich.table import Table

from search_space.architecture import Architecture
from search_space.graph import Graph
from search_space.lowering import lower

SETTING = ("data=cifar10", "data.resolution=16", "data.val_fraction=0.0625", "data.train_fraction=0.16")
"""6,000 training images, 2,500 for validation, 5,000 for the test, of the files that the figures were measured on."""
NETWORK = Path(__file__).resolve().parent / "samples" / "recipe_network.json"
EPOCHS = "training.epochs=12"
QUICK, CIFAR = ("training=quick", "data.crop_padding=2", EPOCHS), ("training=cifar", "data.crop_padding=2", EPOCHS)

ADDED: Mapping[str, Sequence[str]] = {
    "half the learning rate": ["training.learning_rate=0.15"],
    "twice the learning rate": ["training.learning_rate=0.6"],
    "cosine schedule": ["training.schedule=cosine", "training.warmup=0.1"],
    "label smoothing 0.1": ["training.label_smoothing=0.1"],
    "averaged weights": ["training.ema_decay=0.99"],
    "decoupled weight decay": ["training.decoupled_decay=true", "training.weight_decay=0.005"],
    "norm shifts 8 times faster": ["training.norm_learning_rate=8"],
    "norm shifts 64 times faster": ["training.norm_learning_rate=64"],
    "no flip": ["data.flip=false"],
    "no crop": ["data.crop_padding=0"],
    "alternating flip": ["augmentation=[crop,alternating_flip]"],
    "cutout": ["augmentation=[crop,flip,cutout]"],
    "mixup": ["augmentation=[crop,flip,mixup]"],
    "cutmix": ["augmentation=[crop,flip,cutmix]"],
    "progressive resize": ["training.progressive_resize=0.75"],
}
REMOVED: Mapping[str, Sequence[str]] = {
    "one-cycle schedule": ["training.schedule=one_cycle", "training.warmup=0.25"],
    "no label smoothing": ["training.label_smoothing=0.0"],
}
"""Crop and flip of `augmentation` are those of `data`; where it is given, it replaces them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", help="folder of CIFAR-10's Parquet files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=Path, default=Path("recipe_gains.jsonl"), help="file of finished trainings")
    parser.add_argument("--only", nargs="+", choices=["added", "removed"], default=["added", "removed"])
    parser.add_argument("--known", action="store_true", help="train nothing, and print what is finished")
    parser.add_argument("--overrides", nargs="*", default=[], help="of nas search, such as training.epochs=12")
    arguments = parser.parse_args()
    graph = lower(Architecture.from_json(json.loads(NETWORK.read_text(encoding="utf-8"))))
    common = [f"data.path={arguments.data}", *arguments.overrides]
    rows = Rows(arguments.rows)
    tables = {"added": (QUICK, ADDED), "removed": (CIFAR, REMOVED)}
    for name in arguments.only:
        base, changes = tables[name]
        trainings = list(planned(graph, base, changes, common, arguments.seeds))
        if arguments.known:
            trainings = [training for training in trainings if training.key in rows.known]
        for training in trainings:
            rows.result(training)
        print_table(rows, trainings, f"{name}: {base[0]}")


def planned(
    graph: Graph, base: Sequence[str], changes: Mapping[str, Sequence[str]], common: Sequence[str], seeds: int
) -> Iterator[Training]:
    """Yield the trainings of a table seed by seed, the recipe itself first."""
    for seed in range(seeds):
        for label, change in {"": [], **changes}.items():
            yield Training(label, graph, merged(SETTING, base, change, common), seed)


def merged(*lists: Sequence[str]) -> list[str]:
    """Return overrides of which later ones replace earlier ones of the same key.

    >>> merged(["training=quick", "data.flip=true"], ["data.flip=false"])
    ['training=quick', 'data.flip=false']
    """
    return list({word.partition("=")[0]: word for words in lists for word in words}.values())


def print_table(rows: Rows, trainings: Sequence[Training], title: str) -> None:
    """Print accuracies of the recipe, and mean differences from it seed by seed in points, with 95 % intervals.

    The variance of the differences is pooled over the changes.
    """
    found = {(training.label, training.seed): rows.result(training) for training in trainings}
    seeds: dict[str, list[int]] = {}
    for label, seed in found:
        if ("", seed) in found:
            seeds.setdefault(label, []).append(seed)
    cells: dict[str, list[str]] = {label: [label or title, str(len(theirs))] for label, theirs in seeds.items()}
    for name in ("val_accuracy", "test_accuracy"):
        cells[""].append(points([found["", seed][name] for seed in seeds[""]]))
        gains = {
            label: [100 * (found[label, seed][name] - found["", seed][name]) for seed in theirs]
            for label, theirs in seeds.items()
            if label
        }
        for (label, values), half in zip(gains.items(), pooled_half_widths(list(gains.values())), strict=True):
            cells[label].append(f"{fmean(values):+.2f} ± {half:.2f}")
    table = Table(title=title)
    for column in ("change", "seeds", "validation", "test", "processor s"):
        table.add_column(column, justify="left" if column == "change" else "right")
    for label, theirs in seeds.items():
        table.add_row(*cells[label], f"{fmean(found[label, seed]['processor_seconds'] for seed in theirs):.0f}")
    console = Console(width=120)
    console.print(table)
    print_circumstances(console, list(found.values()))


if __name__ == "__main__":
    main()
