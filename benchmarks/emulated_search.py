"""Simulated searches over a large space, with trainings from a Gaussian process emulator of real ones.

Gaussian processes are fitted to the complete trainings in the studies of `live_search.py`: to the logarithm of the
final error, and to that of the seconds. Each seed draws a sample path f from the posterior of the first one by
Matheron's rule (Wilson et al. 2020, "Efficiently sampling functions from Gaussian process posteriors"): g is a draw
from the prior by random Fourier features, and f(x) = g(x) + E[f - g | measurements - g at the measured points - noise].
A search observes f with the fitted noise; the learning curve of a network is that of the nearest training, shifted to
the network's final accuracy. Sampler, fidelity and driver are those of a real search; clock and slots are simulated,
and the driver's time costs nothing.

The score is the hypervolume, over the logarithm of the MACs and the error f, of the networks that a search would have
returned, with the reference point of the live searches. The emulator is a model of the same kind as the surrogate of
`known_cost`, which favours that sampler: use it to compare settings of `known_cost`, not strategies.

    python benchmarks/emulated_search.py --data FOLDER [--folder outputs/live] [--seeds 8] [--set "a=b c=d" ...]
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from nas.cli.app.compose import compose
from nas.jobs import Curve
from nas.objectives.pareto import Axis, hypervolume, losses
from nas.objectives.requirements import exact_measure
from nas.samplers.known_cost.acquisition import SHIFT, FeatureScaler
from nas.samplers.known_cost.candidates import Network, NetworkRegistry
from nas.samplers.known_cost.gp import TREND_VARIANCE, GaussianProcess, Layout, Observations
from nas.search.build import prepare
from nas.search.built_strategy import build_strategy
from nas.search.driver import Search
from nas.search.parts import SearchParts
from nas.study.study import open_study
from nas.study.trial import Record
from nas.tabular.simulation.clock import SimulatedClock
from nas.tabular.simulation.executor import TableExecutor
from nas.tabular.simulation.intervals import estimate
from nas.tabular.simulation.memory import study_in_memory
from nas.tabular.simulation.trace import Snapshot, TraceRecorder
from nas.tabular.simulation.truth import axes_around
from search_space.architecture import Architecture
from search_space.space import Space

ROOT = Path(__file__).resolve().parent.parent
FEATURES = 2000
DEGREES = 5  # of freedom of the Student distribution that is the spectrum of a Matérn-5/2 kernel
USUAL = 500
WOBBLE = 0.01  # of an accuracy on the way to the end
FLOOR, CEILING = 0.01, 0.99
MOMENTS = (1 / 12, 1 / 4, 1 / 2, 1.0)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trainings:
    """Complete trainings of real searches.

    Attributes:
        networks: that were trained.
        curves: their learning curves.
    """

    networks: Sequence[Network]
    curves: Sequence[Curve]

    @property
    def points(self) -> list[Mapping[str, float]]:
        """MACs and final error of each training."""
        pairs = zip(self.networks, self.curves, strict=True)
        return [{"macs": n.costs["macs"], "error": 1.0 - c[-1].val_accuracy} for n, c in pairs]

    def slopes(self, name: str) -> Floats:
        """Return the slope of a linear fit of a column to the final accuracy, for each epoch: (epochs,)."""
        values = np.array([[getattr(row, name) for row in curve] for curve in self.curves])
        ends = np.array([curve[-1].val_accuracy for curve in self.curves])
        off = ends - ends.mean()
        return np.asarray((values - values.mean(axis=0)).T @ off / (off @ off))


@dataclass(frozen=True)
class EmulatedTraining:
    """Emulated training of a network.

    Attributes:
        error: true error, without noise.
        curve: learning curve that a search observes.
    """

    error: float
    curve: Curve


class Emulator:
    """Emulator of the trainings of a space: Gaussian processes of the final error and of the seconds."""

    def __init__(self, space: Space, folders: Iterable[Path]) -> None:
        self.networks = NetworkRegistry(space, exact_measure())
        self.trained = _trainings(self.networks, folders)
        generator = random.Random(0)
        self.scaler = FeatureScaler.fit([self.networks.network(space.draw(generator)) for _ in range(USUAL)])
        x = self.scaler.features(self.trained.networks)
        layout = self.networks.layout(len(self.trained.networks[0].costs))
        errors = np.array([point["error"] for point in self.trained.points])
        seconds = np.array([sum(row.seconds for row in curve) for curve in self.trained.curves])
        self.errors = _fitted(layout, x, np.log(errors + SHIFT))
        self.seconds = _fitted(layout, x, np.log(seconds))
        self.slopes = {name: self.trained.slopes(name) for name in ("train_loss", "val_loss", "val_accuracy")}

    @property
    def noise(self) -> float:
        """Standard deviation of the noise of the logarithm of the error."""
        return math.sqrt(self.errors.hyperparameters.noise) * self.errors.spread


class SamplePath:
    """Sample path of the error's posterior, with the trainings that follow from it."""

    def __init__(self, emulator: Emulator, seed: int) -> None:
        self._emulator, self._seed = emulator, seed
        self._trainings: dict[str, EmulatedTraining] = {}
        generator = np.random.default_rng(seed)
        process = emulator.errors
        hyper, seen, columns = process.hyperparameters, process.observations, process.observations.x.shape[1]
        factors = np.zeros(columns)
        for group, weight in zip(process.layout.groups, hyper.weights, strict=True):
            factors[list(group)] += weight / len(group)
        spectrum = generator.standard_normal((FEATURES, columns))
        spectrum *= np.sqrt(DEGREES / generator.chisquare(DEGREES, FEATURES))[:, None]
        self._frequencies = spectrum * np.sqrt(factors)
        self._phases = generator.uniform(0.0, 2.0 * np.pi, FEATURES)
        self._heights = generator.standard_normal(FEATURES) * math.sqrt(2.0 * hyper.signal / FEATURES)
        self._slopes = generator.standard_normal(process.layout.basis(seen.x).shape[1]) * math.sqrt(TREND_VARIANCE)
        measured = (seen.y - process.centre) / process.spread
        noise = generator.standard_normal(len(measured)) * math.sqrt(hyper.noise)
        off = replace(seen, y=measured - self._prior(seen.x) - noise)
        self._correction = GaussianProcess(process.layout, hyper, off, 0.0, 1.0)

    def of(self, architecture: Architecture) -> EmulatedTraining:
        """Return the emulated training of a network."""
        network = self._emulator.networks.network(architecture)
        if network.network_id not in self._trainings:
            self._trainings[network.network_id] = self._training(network)
        return self._trainings[network.network_id]

    def _training(self, network: Network) -> EmulatedTraining:
        emulator, process = self._emulator, self._emulator.errors
        generator = np.random.default_rng([self._seed, zlib.crc32(network.network_id.encode())])
        x = emulator.scaler.features([network])
        drawn = process.centre + process.spread * float((self._prior(x) + self._correction.predict(x)[0])[0])
        seen = math.exp(drawn + emulator.noise * generator.standard_normal()) - SHIFT
        seconds = math.exp(float(emulator.seconds.predict(x)[0][0]))
        alike = int(np.argmin(process.layout.weighted(process.hyperparameters.weights, x, process.observations.x)[0]))
        like = emulator.trained.curves[alike]
        off = like[-1].val_accuracy - (1.0 - _share(seen))
        wobbles = generator.standard_normal(len(like)) * WOBBLE
        wobbles[-1] = 0.0
        curve = tuple(
            replace(
                row,
                train_loss=max(row.train_loss - off * emulator.slopes["train_loss"][place], FLOOR),
                val_loss=max(row.val_loss - off * emulator.slopes["val_loss"][place], FLOOR),
                val_accuracy=_share(row.val_accuracy - off * emulator.slopes["val_accuracy"][place] + wobble),
                seconds=seconds / len(like),
            )
            for place, (row, wobble) in enumerate(zip(like, wobbles, strict=True))
        )
        return EmulatedTraining(_share(math.exp(drawn) - SHIFT), curve)

    def _prior(self, x: Floats) -> Floats:
        waves = np.cos(x @ self._frequencies.T + self._phases) @ self._heights
        return np.asarray(waves + self._emulator.errors.layout.basis(x) @ self._slopes)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder with CIFAR-10 as Parquet")
    parser.add_argument("--folder", type=Path, default=ROOT / "outputs" / "live", help="studies of live searches")
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument(
        "--set", nargs="*", default=[], help="settings to compare with the default, each a text of words"
    )
    arguments = parser.parse_args()
    base = ["experiment=cifar_quick", f"data.path={arguments.data}", f"budget.minutes={arguments.minutes:g}"]
    space = prepare(compose("search", base)).space
    emulator = Emulator(space, sorted(path.parent for path in arguments.folder.glob("*/study.db")))
    box = axes_around(emulator.trained.points)
    table = Table("settings", *(f"{part * arguments.minutes:g} min" for part in MOMENTS), "more at the end", "trials")
    shares: dict[str, list[list[float]]] = {}
    for words in ["", *arguments.set]:
        runs, trials = [], []
        for seed in track(range(arguments.seeds), words or "default", console=Console(stderr=True)):
            config = compose("search", [*base, f"seed={seed}", *words.split()])
            path = SamplePath(emulator, seed)
            steps, records = _searched(config, space, path, arguments.slots)
            runs.append([_share_at(steps, records, path, box, 60 * part * arguments.minutes) for part in MOMENTS])
            trials.append(len(records))
        shares[words] = runs
        paired = estimate([run[-1] - usual[-1] for run, usual in zip(runs, shares[""], strict=True)])
        means = [f"{np.mean(column):.3f}" for column in zip(*runs, strict=True)]
        more = f"{paired.median:+.3f} [{paired.low:+.3f}, {paired.high:+.3f}]"
        table.add_row(words or "default", *means, more if words else "", f"{np.mean(trials):.0f}")
    Console().print(table)


def _searched(
    config: Any, space: Space, path: SamplePath, slots: int
) -> tuple[Sequence[Snapshot], Mapping[str, Record]]:
    """Simulate a search; return its snapshots, and its trials by identity of the architecture."""
    built = build_strategy(config, space, config.training.epochs)
    clock, recorder = SimulatedClock(), TraceRecorder()

    def answer(architecture: Mapping[str, object], repeat: int) -> Curve:  # noqa: ARG001 - a path has no second seed
        return path.of(Architecture.from_json(dict(architecture))).curve

    executor = TableExecutor(answer, clock, slots)
    parts = SearchParts(
        study=study_in_memory(built.axes),
        view=built.view,
        proposer=built.proposer,
        policy=built.policy,
        executor=executor,
        values=built.values,
        latest=executor.latest,
        observers=[recorder],
        clock=clock,
        poll_seconds=0.5,
    )
    Search(parts, config.budget, epochs=config.training.epochs, retries=0).run()
    return recorder.snapshots, {record.candidate.id: record for record in parts.study.records()}


def _share_at(
    steps: Sequence[Snapshot], records: Mapping[str, Record], path: SamplePath, box: Sequence[Axis], moment: float
) -> float:
    """Return the hypervolume of the front at a moment by the true errors, in the unit box of the axes."""
    front = next((snapshot.front for snapshot in reversed(steps) if snapshot.clock_seconds <= moment), ())
    found = [records[name].candidate for name in front]
    points = [
        {"macs": member.costs["macs"], "error": path.of(Architecture.from_json(dict(member.architecture))).error}
        for member in found
    ]
    return hypervolume(losses(box, points)) if points else 0.0


def _trainings(networks: NetworkRegistry, folders: Iterable[Path]) -> Trainings:
    complete = [record for folder in folders for record in open_study(folder).records() if record.state == "complete"]
    if not complete:
        sys.exit("no complete training to learn from; live_search.py leaves some")
    made = [networks.network(Architecture.from_json(dict(record.candidate.architecture))) for record in complete]
    return Trainings(made, [record.curve for record in complete])


def _fitted(layout: Layout, x: Floats, y: Floats) -> GaussianProcess:
    return GaussianProcess.fit(layout, Observations(x, y, np.zeros(len(y))))


def _share(value: float) -> float:
    return min(max(value, FLOOR), CEILING)


if __name__ == "__main__":
    main()
