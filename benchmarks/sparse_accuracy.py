"""Accuracy of a network without most of its weights, against the same network dense.

A network of some `--params` parameters of the space cifar is trained on CIFAR-10 at 16×16 pixels, over seeds. From each
of these trainings three continue for `--epochs` more with a third of the learning rate: that of all weights; that
without a share of them; and that of the smaller network without the channels that have half of the parameters. So the
sparse network is also compared with one that was trained as long. Accuracies are of the test part, differences paired
by seed, with 95 % intervals by Student's t. A finished training in `--folder` is not run again.

    python benchmarks/sparse_accuracy.py [--seeds 3] [--sparsity 0.8] [--epochs 8] [--params 150000] [--folder FOLDER]
        data.path=FOLDER [training.epochs=12 data.train_fraction=0.3 ...]
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from recipe_trainings import mean_and_half_width, points
from rich.console import Console
from rich.table import Table
from torch import Tensor
from training_cases import Case, NullControl

from nas.cli.app.compose import compose
from nas.config.commands import SearchConfig
from nas.config.training import Recipe
from nas.data import evaluation_loader, load, load_test
from nas.evaluation.finetune.origin import Origin
from nas.evaluation.measurement import measure
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Job
from nas.jobs.files import read_json, write_json
from nas.training.restore import restore_network
from nas.training.weights_file import located
from search_space.cost import cost
from search_space.documents import graph_of, pruned_document
from search_space.pruned_weights import magnitude_pruned, prune_channels, smaller_state, zero_share

SETTINGS = ("data=cifar10", "data.resolution=16", "data.crop_padding=2", "training=cifar", "training.epochs=12")
SHARE = 0.3
"""Learning rate of the further training over that of the first."""
DENSE, LONGER = "dense", "dense, trained on"


@dataclass(frozen=True)
class Trainings:
    """Trainings of one network on one image set.

    Attributes:
        runner: with the first training's recipe.
        architecture: JSON form of the network.
        folder: folder of all trainings.
        epochs: length of the further trainings.
    """

    runner: TrialRunner
    architecture: Mapping[str, Any]
    folder: Path
    epochs: int

    def first(self, seed: int) -> Path:
        """Return the folder of the dense training."""
        return self._train(self.folder / f"dense-{seed}", self.architecture, seed, self.runner.recipe)

    def further(self, name: str, seed: int, document: Mapping[str, Any], state: Mapping[str, Tensor]) -> Path:
        """Return the folder of a training that continues from weights, whose zeros stay."""
        folder = self.folder / f"{name}-{self.epochs}-{seed}"
        folder.mkdir(parents=True, exist_ok=True)
        classes = tuple(load(self.runner.data).classes)
        Origin("start", document, state, classes, (), (), "").write_start(folder / "start.safetensors")
        recipe = replace(
            self.runner.recipe,
            epochs=self.epochs,
            learning_rate=SHARE * self.runner.recipe.learning_rate,
            weights=str(folder / "start.safetensors"),
            keep_zeros=True,
        )
        return self._train(folder, document, seed, located(recipe))

    def _train(self, folder: Path, document: Mapping[str, Any], seed: int, recipe: Recipe) -> Path:
        if not (folder / "result.json").exists():
            job = Job(0, 1, document, seed, 0, recipe.epochs, folder)
            outcome = replace(self.runner, recipe=recipe)(job, NullControl())
            if outcome.failure is not None or outcome.checkpoint is None:
                raise SystemExit(f"a training must succeed: {outcome.failure}")
            trained = restore_network(outcome.checkpoint, document).network
            images, test = load(self.runner.data), load_test(self.runner.data)
            found = measure(trained, evaluation_loader(images, 256, part=test))
            facts = {"zeros": zero_share(trained.state_dict()), "params": cost(graph_of(document)).params}
            write_json(folder / "result.json", {**found, **facts, "checkpoint": outcome.checkpoint.name})
        return folder

    def state(self, folder: Path) -> dict[str, Tensor]:
        """Return the weights of a finished training of the network."""
        checkpoint = folder / str((read_json(folder / "result.json") or {})["checkpoint"])
        return restore_network(checkpoint, self.architecture).network.state_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sparsity", type=float, default=0.8)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--params", type=int, default=150_000)
    parser.add_argument("--folder", type=Path, default=Path("sparse_accuracy"))
    parser.add_argument("overrides", nargs="*", help="of nas search, such as data.path=FOLDER training.epochs=15")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = compose("search", [*SETTINGS, *arguments.overrides])
    assert isinstance(config, SearchConfig)
    architecture = Case("sparse", "cifar", (3, 16, 16), arguments.params, 0).architecture().to_json()
    runner = TrialRunner(config.data, config.training, threads=1, accelerator="cpu")
    trainings = Trainings(runner, architecture, arguments.folder, arguments.epochs)
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for seed in range(arguments.seeds):
        for name, folder in finished(trainings, seed, arguments.sparsity).items():
            rows.setdefault(name, []).append(read_json(folder / "result.json") or {})
        print_table(rows, f"{seed + 1} seeds, {len(load(config.data).train):,} training images")


def finished(trainings: Trainings, seed: int, sparsity: float) -> dict[str, Path]:
    """Return the folders of all trainings of a seed."""
    first = trainings.first(seed)
    state, document = trainings.state(first), trainings.architecture
    found = {DENSE: first, LONGER: trainings.further("longer", seed, document, state)}
    kept = magnitude_pruned(state, sparsity)
    found[f"{sparsity:.0%} zeros"] = trainings.further(f"zeros{sparsity}", seed, document, kept)
    graph = graph_of(document)
    pruned = prune_channels(graph, state, 0.5)
    smaller = smaller_state(graph, state, pruned)
    found["half by channels"] = trainings.further("channels0.5", seed, pruned_document(document, pruned), smaller)
    return found


def print_table(rows: Mapping[str, Sequence[Mapping[str, Any]]], title: str) -> None:
    table = Table(title=title)
    for name in ("network", "parameters", "zeros", "test accuracy, %", f"− {DENSE}, points", f"− {LONGER}, points"):
        table.add_column(name, justify="left" if name == "network" else "right")
    accuracies = {name: [float(one["test_accuracy"]) for one in found] for name, found in rows.items()}
    for name, found in rows.items():
        cells = [name, f"{found[0]['params']:,}", f"{found[0]['zeros']:.3f}", points(accuracies[name])]
        for base in (DENSE, LONGER):
            pairs = zip(accuracies[name], accuracies[base], strict=True)
            cells.append("" if name == base else points([one - other for one, other in pairs], signed=True))
        table.add_row(*cells)
    console = Console(width=140)
    console.print(table)
    half = {name: mean_and_half_width(values)[1] for name, values in accuracies.items()}
    console.print(json.dumps({"accuracies": accuracies, "half_widths": half}))
    images = next(iter(rows.values()))[0]["test_images"]
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "pytorch-lightning"))
    console.print(f"{images:,} test images, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {packages}")


if __name__ == "__main__":
    main()
