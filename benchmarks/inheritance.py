"""Accuracy and rank correlation of networks that inherit their parent's weights.

Each pair is a random network of the space, trained in full, and a mutated child of it. The child is trained in five
ways: from fresh weights in full with two seeds, whose mean is the ground truth; with a third seed; with inherited
weights over the last part of the same schedule; and from fresh weights over a whole schedule of as many epochs.

The columns are the difference from the ground truth, the seconds as a share of a full training, and the rank
correlation with the ground truth over the children. The third seed's correlation is the largest that a training can
reach. Networks with more MACs rank higher with any weights, so the last column correlates the residuals of a linear fit
to the logarithm of the MACs. The first row compares the two seeds of the ground truth. Intervals are bootstraps over
the pairs.

    python benchmarks/inheritance.py [--pairs 30] [--skips 4 8] [--rows pairs.jsonl] [training.epochs=12 ...]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.stats import kendalltau, spearmanr
from training_cases import NullControl

from nas.cli.app.compose import compose
from nas.data import describe
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Job, Parent
from nas.objectives.costs import built_in_costs
from nas.search.build import space_for
from search_space.architecture import Architecture
from search_space.choices import RandomChooser
from search_space.space import Space

RESAMPLES = 2000
PARENT, ONE, OTHER, THIRD = "parent", "fresh, seed 1", "fresh, seed 2", "fresh, in full"

Floats = NDArray[np.float64]
Statistic = Callable[[Floats, Floats], float]
Row = dict[str, tuple[float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument(
        "--skips", type=int, nargs="+", default=[4, 8], help="epochs that a child with inherited weights skips"
    )
    parser.add_argument("--rows", type=Path, help="file of finished pairs, which are not trained again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("overrides", nargs="*", help="of nas search, such as training.epochs=12")
    arguments = parser.parse_args()
    config = compose("search", arguments.overrides)
    space = space_for(config.space, describe(config.data))
    runner = TrialRunner(config.data, config.training, threads=1, accelerator="cpu")
    rows = known(arguments.rows)
    for number, (parent, child) in track(
        list(enumerate(drawn(space, arguments.seed, arguments.pairs))), description="pairs"
    ):
        if number >= len(rows):
            row = trained(runner, (parent, child), number, arguments.skips)
            rows.append({**row, "log_macs": (float(np.log(built_in_costs().of_architecture(child)["macs"])), 0.0)})
            if arguments.rows:
                arguments.rows.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    print_table(
        rows[: arguments.pairs], f"{arguments.pairs} pairs, {config.data.slug}, {config.training.epochs} epochs"
    )


def known(path: Path | None) -> list[Any]:
    """Return the pairs that an earlier run of the same command has trained."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path and path.is_file() else []


def drawn(space: Space, seed: int, pairs: int) -> Iterator[tuple[Architecture, Architecture]]:
    """Yield random networks, each with a mutated child."""
    generator = random.Random(seed)
    for _ in range(pairs):
        parent = space.sample(RandomChooser(generator))
        yield parent, space.mutate(parent, generator)


def trained(runner: TrialRunner, pair: tuple[Architecture, Architecture], number: int, skips: Sequence[int]) -> Row:
    """Run every training of a pair and return the last accuracy and the seconds of each."""
    parent, child = (architecture.to_json() for architecture in pair)
    epochs = runner.recipe.epochs
    with tempfile.TemporaryDirectory() as scratch:
        folders = (Path(scratch) / str(index) for index in range(100))

        def train(
            architecture: dict[str, Any], seed: int, skip: int = 0, inherits_from: Path | None = None
        ) -> list[float]:
            ancestor = Parent(0, parent, next(inherits_from.glob("*.pt")), skip) if inherits_from else None
            job = Job(0, 1, architecture, 4 * number + seed, 0, epochs - skip, next(folders), parent=ancestor)
            horizon = epochs if ancestor else epochs - skip
            return outcome_of(replace(runner, recipe=replace(runner.recipe, epochs=horizon)), job)

        found = {PARENT: train(parent, 3), ONE: train(child, 0), OTHER: train(child, 1), THIRD: train(child, 2)}
        for skip in skips:
            found[f"inherited, last {epochs - skip}"] = train(child, 2, skip, Path(scratch) / "0")
            found[f"fresh, {epochs - skip} epochs"] = train(child, 2, skip)
    return {name: (values[0], values[1]) for name, values in found.items()}


def outcome_of(runner: TrialRunner, job: Job) -> list[float]:
    outcome = runner(job, NullControl())
    if outcome.failure is not None:
        raise SystemExit(f"a training must succeed: {outcome.failure.message}")
    return [outcome.curve[-1].val_accuracy, outcome.seconds]


def print_table(rows: Sequence[Row], title: str) -> None:
    arms = {name: np.array([row[name] for row in rows]) for name in rows[0]}  # (pairs, 2): accuracy, seconds
    log_macs = arms.pop("log_macs")[:, 0]
    both = (arms[ONE] + arms[OTHER]) / 2
    table = Table(title=title)
    for name in ("training of the child", "accuracy, %", "− truth, points", "seconds, of full"):
        table.add_column(name, justify="left" if name.startswith("training") else "right")
    for name in ("Spearman", "Kendall", "Spearman beyond MACs"):
        table.add_column(name, justify="right")
    table.add_row(f"{ONE}, against seed 2", *cells(arms[ONE], arms[OTHER], log_macs))
    for name in [name for name in arms if name not in (PARENT, ONE, OTHER)]:
        table.add_row(name, *cells(arms[name], both, log_macs))
    console = Console(width=160)
    console.print(table)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "pytorch-lightning"))
    console.print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {packages}")


def cells(arm: Floats, truth: Floats, log_macs: Floats) -> list[str]:
    accuracy, goal = arm[:, 0], truth[:, 0]
    left, left_goal = residuals(accuracy, log_macs), residuals(goal, log_macs)
    return [
        f"{100 * accuracy.mean():.2f}",
        interval(lambda one, other: 100 * float((one - other).mean()), accuracy, goal),
        interval(lambda one, other: float(one.sum() / other.sum()), arm[:, 1], truth[:, 1]),
        interval(lambda one, other: float(spearmanr(one, other)[0]), accuracy, goal),
        interval(lambda one, other: float(kendalltau(one, other)[0]), accuracy, goal),
        interval(lambda one, other: float(spearmanr(one, other)[0]), left, left_goal),
    ]


def residuals(values: Floats, log_macs: Floats) -> Floats:
    """Return the residuals of a linear fit of `values` to the logarithm of the MACs: (n,)."""
    fitted: Floats = np.polyval(np.polyfit(log_macs, values, 1), log_macs)
    return values - fitted


def interval(statistic: Statistic, one: Floats, other: Floats) -> str:
    """Return a statistic of two arms over the same pairs with its bootstrap interval, 95 %."""
    draws = np.random.default_rng(0).integers(0, len(one), (RESAMPLES, len(one)))
    low, high = np.nanquantile([statistic(one[draw], other[draw]) for draw in draws], [0.025, 0.975])
    return f"{statistic(one, other):.2f} [{low:.2f}, {high:.2f}]"


if __name__ == "__main__":
    main()
