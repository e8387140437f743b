"""Accuracy of trainings in packs against the same trainings alone, and of validation with folded batch norms or not.

Random networks are trained on digits over the same seeds, alone and in a pack, and measured on the test part. A pack
adds in another order, so that its curves drift from those alone as far as two roundings do; the difference of the means
should lie within the spread of the seeds. The last column validates the last weights of the trainings alone with batch
norms as they are: the number of validation images that are classified otherwise than with folded ones.

    python benchmarks/packed_accuracy.py [--networks 4] [--seeds 5] [training.epochs=12 ...]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from training_cases import NullControl

from nas.cli.app.compose import compose
from nas.data import describe, evaluation_loader, load, load_test
from nas.evaluation.measurement import measure
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Job, Outcome
from nas.search.build import space_for
from nas.training.restore import restore_network
from search_space.architecture import Architecture

BATCH = 256


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--networks", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("overrides", nargs="*", help="of nas search, such as training.epochs=12")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    config = compose("search", arguments.overrides)
    space, generator = space_for(config.space, describe(config.data)), random.Random(0)
    runner = TrialRunner(config.data, config.training, 1, "cpu")
    table = Table(
        *("network", "test accuracy alone", "spread of seeds", "in a pack", "packed - alone", "otherwise when folded"),
        title=f"{arguments.seeds} seeds, {config.training.epochs} epochs, load {os.getloadavg()[0]:.1f}",
    )
    differences = []
    for _ in range(arguments.networks):
        architecture = space.draw(generator)
        with tempfile.TemporaryDirectory() as folder:
            alone = [
                outcome
                for seed in range(arguments.seeds)
                for outcome in run(runner, architecture, [seed], Path(folder) / "a")
            ]
            packed = run(runner, architecture, range(arguments.seeds), Path(folder) / "p")
            scores = [[test_accuracy(runner, outcome) for outcome in outcomes] for outcomes in (alone, packed)]
            otherwise = sum(classified_otherwise(runner, outcome) for outcome in alone)
        means, spread = [statistics.mean(each) for each in scores], statistics.stdev(scores[0])
        differences += [second - first for first, second in zip(*scores, strict=True)]
        table.add_row(
            architecture.id,
            f"{means[0]:.4f}",
            f"{spread:.4f}",
            f"{means[1]:.4f}",
            f"{means[1] - means[0]:+.4f}",
            str(otherwise),
        )
    Console().print(table)
    mean = statistics.mean(differences)
    error = statistics.stdev(differences) / len(differences) ** 0.5
    Console().print(f"mean of the {len(differences)} differences {mean:+.4f}, standard error {error:.4f}")


def run(runner: TrialRunner, architecture: Architecture, seeds: range | list[int], folder: Path) -> list[Outcome]:
    """Train a network over seeds, in a pack if there are several."""
    jobs = [Job(seed, 1, architecture.to_json(), seed, 0, runner.recipe.epochs, folder / str(seed)) for seed in seeds]
    outcome = runner(replace(jobs[0], pack=tuple(jobs[1:])), NullControl())
    if outcome.failed:
        raise SystemExit(f"a training must end, got {outcome.failure}")
    return list(outcome.members)


def test_accuracy(runner: TrialRunner, outcome: Outcome) -> float:
    """Return the accuracy of the last weights on the test part."""
    assert outcome.checkpoint is not None
    network = restore_network(outcome.checkpoint, outcome.job.architecture).network
    loader = evaluation_loader(load(runner.data), BATCH, part=load_test(runner.data))
    return float(measure(network, loader)["test_accuracy"])


def classified_otherwise(runner: TrialRunner, outcome: Outcome) -> int:
    """Return by how many images the validation accuracy with plain batch norms differs from that of the curve."""
    assert outcome.checkpoint is not None
    network = restore_network(outcome.checkpoint, outcome.job.architecture).network
    found = measure(network, evaluation_loader(load(runner.data), BATCH))
    return abs(round((found["test_accuracy"] - outcome.curve[-1].val_accuracy) * found["test_images"]))


if __name__ == "__main__":
    main()
