"""Trainings of one network with one recipe each, for the programs that compare recipes.

A finished training is a line of a JSON file, and is not run again.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from scipy.stats import t as student
from training_cases import NullControl

from nas.cli.app.compose import compose
from nas.config.commands import SearchConfig
from nas.data import evaluation_loader, load, load_test
from nas.evaluation.measurement import measure
from nas.evaluation.trial_runner import TrialRunner, validation_batch
from nas.jobs import Job
from nas.jobs.hashes import derived_seed
from nas.training import checkpoint as checkpoints
from nas.training.trial import train
from search_space.graph import Graph
from search_space.identity import network_id
from search_space.network import build


@dataclass(frozen=True)
class Training:
    """A network, a recipe and a seed.

    Attributes:
        label: row of the table that it belongs to.
        graph: the network.
        overrides: data and recipe, as overrides of `nas search`.
        seed: seed of initial weights, batch order and augmentation.
    """

    label: str
    graph: Graph
    overrides: Sequence[str]
    seed: int

    @property
    def key(self) -> str:
        """Identity of the training: what its result depends on."""
        return json.dumps([network_id(self.graph), sorted(self.overrides), self.seed])


@dataclass
class Rows:
    """Results of trainings, kept in a file of JSON lines.

    Attributes:
        path: the file; a damaged last line is left out.
        accelerator: Lightning's name of the device.
    """

    path: Path
    accelerator: str = "cpu"
    known: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else ():
            if line.endswith("}"):
                row = json.loads(line)
                self.known[row["key"]] = row

    def result(self, training: Training) -> dict[str, Any]:
        """Return the result of a training, which is run if it is not known."""
        if training.key not in self.known:
            row = {"key": training.key, "label": training.label, "seed": training.seed, **self._run(training)}
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            self.known[training.key] = row
        return self.known[training.key]

    def _run(self, training: Training) -> dict[str, Any]:
        config = compose("search", training.overrides)
        assert isinstance(config, SearchConfig)
        runner = TrialRunner(config.data, config.training, 1, self.accelerator)
        torch.set_num_threads(1)
        seed = derived_seed(f"recipe/{training.seed}", 31)
        began, spent = time.perf_counter(), time.process_time()
        with tempfile.TemporaryDirectory() as scratch:
            identity = {"network": network_id(training.graph)}
            job = Job(0, 1, identity, seed, 0, config.training.epochs, Path(scratch))
            (data,) = runner.load([seed])
            torch.manual_seed(seed)
            outcome = train(build(training.graph), data, config.training, job, NullControl(), self.accelerator)
            if outcome.failure is not None or outcome.checkpoint is None:
                raise SystemExit(f"a training must succeed: {outcome.failure}")
            found = checkpoints.load(outcome.checkpoint, {})
        network = build(training.graph)
        state = found.state
        network.load_state_dict(state.network if state.average is None else state.average)
        images, test = load(config.data), load_test(config.data)
        batch = validation_batch(images.shape, config.training.batch_size, runner.device)
        loader = evaluation_loader(images, batch, part=test, device=runner.device)
        last = outcome.curve[-1]
        return {
            "val_accuracy": last.val_accuracy,
            "train_loss": last.train_loss,
            **measure(network.eval().to(runner.device), loader),
            "seconds": time.perf_counter() - began,
            "processor_seconds": time.process_time() - spent,
            "load": os.getloadavg()[0],
            "training": config.training.settings(),
        }


def mean_and_half_width(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and half the width of its 95 % interval by Student's t; infinite for one value.

    >>> mean_and_half_width([1.0, 2.0, 3.0])
    (2.0, 2.484...)
    """
    array = np.asarray(values, float)
    if len(array) < 2:
        return float(array.mean()), float("inf")
    error = array.std(ddof=1) / np.sqrt(len(array))
    return float(array.mean()), float(student.ppf(0.975, len(array) - 1) * error)


def pooled_half_widths(groups: Sequence[Sequence[float]]) -> list[float]:
    """Return half the width of the 95 % interval of each group's mean, by one variance that is pooled over the groups.

    >>> pooled_half_widths([[1.0, 3.0], [5.0, 7.0], [4.0]])
    [4.30..., 4.30..., 6.08...]
    """
    arrays = [np.asarray(group, float) for group in groups]
    freedom = sum(len(array) - 1 for array in arrays)
    if not freedom:
        return [float("inf")] * len(arrays)
    sd = np.sqrt(sum(((array - array.mean()) ** 2).sum() for array in arrays) / freedom)
    return [float(student.ppf(0.975, freedom) * sd / np.sqrt(len(array))) for array in arrays]


def points(values: Sequence[float], *, signed: bool = False) -> str:
    """Return shares as percent, or differences of them as percentage points, with the interval of their mean."""
    mean, half = mean_and_half_width([100 * value for value in values])
    return f"{mean:+.2f} ± {half:.2f}" if signed else f"{mean:.2f} ± {half:.2f}"


def print_circumstances(console: Console, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print versions, load and processor seconds of the trainings."""
    spent = [row["processor_seconds"] for row in rows]
    console.print(
        f"torch {torch.__version__}, one thread, {len(rows)} trainings, processor seconds of each: median "
        f"{np.median(spent):.0f}; load while they ran: median {np.median([row['load'] for row in rows]):.1f} "
        f"on {os.cpu_count()} cores"
    )
