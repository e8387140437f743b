"""Overhead of a trial on Ray over the same trial on a local slot.

Jobs run one at a time, in alternating order of the arms. Both arms run a job in a fresh worker process of a warm fork
server, with real trainings on the embedded digits, so that the difference is due to Ray, the mailbox and the check of
the folder. The cluster is started on this machine. The first job of each arm is not counted, since it starts Ray's
worker and its fork server. The interval is a bootstrap of the median of the differences.

`--search` compares whole searches instead, in trials an hour, on the machine's devices: with a GPU, one slot a GPU on
both sides.

    python benchmarks/ray_overhead.py [--pairs 30] [--epochs 2]
    python benchmarks/ray_overhead.py --search [--rounds 3] [--trials 16] [--epochs 6]
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import ray
import torch

from nas.cli.app.compose import compose
from nas.config.workers import WorkersSpec
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Executor, Job
from nas.search import build
from nas.search.executors import executor_for
from nas.search.proposer import training_seed
from nas.workers.ray.cluster import connect
from nas.workers.ray.task import without_main_module

ARMS = ("local", "ray")
RESAMPLES = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=30, help="jobs an arm")
    parser.add_argument("--search", action="store_true", help="compare whole searches")
    parser.add_argument("--rounds", type=int, default=3, help="searches an arm")
    parser.add_argument("--trials", type=int, default=16, help="trials of a search")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--address", default="local", help="a running cluster, such as one that shares no folder")
    arguments = parser.parse_args()
    connect(WorkersSpec(name="ray", address=arguments.address))
    try:
        with without_main_module():  # a local worker process would import this file, and Ray with it
            if arguments.search:
                _searches(arguments.rounds, arguments.trials, arguments.epochs)
            else:
                _jobs(arguments.pairs, arguments.epochs)
    finally:
        ray.shutdown()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(
        f"Python {platform.python_version()}, ray {version('ray')}, torch {version('torch')}, {platform.machine()}, "
        f"{os.cpu_count()} cores, {device}, load {os.getloadavg()[0]:.1f}"
    )


def _jobs(pairs: int, epochs: int) -> None:
    """Time single jobs and print the differences."""
    words = [f"training.epochs={epochs}", "workers.slots=1"]
    configs = {
        "local": compose("search", [*words, "workers.jobs_per_child=1"]),
        "ray": compose("search", [*words, "workers=ray", "workers.address=local"]),
    }
    space = build.prepare(configs["local"]).space
    generator = random.Random(0)
    executors = {arm: executor_for(_runner(config), config.workers) for arm, config in configs.items()}
    times: dict[str, list[float]] = {arm: [] for arm in ARMS}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(pairs + 1):
            architecture = space.draw(generator)
            for arm in ARMS if number % 2 else ARMS[::-1]:
                seed = training_seed(0, architecture.id)
                job = Job(number, 1, architecture.to_json(), seed, 0, epochs, Path(folder) / arm / str(number))
                times[arm].append(_timed(executors[arm], job))
    for executor in executors.values():
        executor.close()
    local, far = (times[arm][1:] for arm in ARMS)
    differences = [1e3 * (there - here) for here, there in zip(local, far, strict=True)]
    _say("Ray adds to a trial", differences, "ms")
    here, there = statistics.median(local), statistics.median(far)
    print(f"a trial of {epochs} epochs takes {here:.3f} s locally, {there:.3f} s on Ray")
    print(f"differences in ms: {' '.join(f'{difference:.0f}' for difference in differences)}")


def _runner(config: Any) -> TrialRunner:
    return TrialRunner(config.data, config.training, config.workers.threads_per_slot)


def _timed(executor: Executor, job: Job) -> float:
    began = time.perf_counter()
    executor.submit(job, lambda *_: None)
    while not (outcomes := executor.wait(1.0)):
        pass
    assert outcomes[0].failure is None, outcomes[0].failure
    return time.perf_counter() - began


def _searches(rounds: int, trials: int, epochs: int) -> None:
    """Time whole searches and print the ratios."""
    ratios = []
    for number in range(-1, rounds):  # the first round starts workers and fork servers
        order: Sequence[str] = ARMS if number % 2 else ARMS[::-1]
        rates = {arm: 3600 * trials / _search(arm, trials, epochs) for arm in order}
        if number >= 0:
            ratios.append(rates["ray"] / rates["local"])
            print(f"round {number + 1}: " + ", ".join(f"{arm} {rates[arm]:.0f} trials an hour" for arm in ARMS))
    _say("throughput of Ray to local slots", ratios, "")


def _search(arm: str, trials: int, epochs: int) -> float:
    words = ["sampler=random", "fidelity=full", "tracking=none", "seed=1", "workers.keep=none"]
    workers = ["workers=ray", "workers.address=local"] if arm == "ray" else ["workers.jobs_per_child=1"]
    config: Any = compose("search", [*words, *workers, f"budget.trials={trials}", f"training.epochs={epochs}"])
    plan = build.prepare(config)
    with tempfile.TemporaryDirectory() as folder:
        search = build.assemble(plan, build.open_or_create(Path(folder), plan), [])
        began = time.perf_counter()
        search.run()
        return time.perf_counter() - began


def _say(what: str, values: Sequence[float], unit: str) -> None:
    low, high = _interval(values, statistics.median)
    print(
        f"{what}: median {statistics.median(values):.3g} {unit} [{low:.3g}, {high:.3g}] (95 %, n={len(values)}), "
        f"mean {statistics.fmean(values):.3g}"
    )


def _interval(values: Sequence[float], middle: Callable[[Sequence[float]], float]) -> tuple[float, float]:
    """Return the bootstrap interval of a statistic, 95 %."""
    generator = random.Random(0)
    middles = sorted(middle(generator.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return middles[RESAMPLES // 40], middles[-RESAMPLES // 40]


if __name__ == "__main__":
    main()
