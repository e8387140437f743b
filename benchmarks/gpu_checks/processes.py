"""Checks of worker processes: their start, slots that share a device, and several that train one network."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gpu_checks.base import Context, Figures, require
from gpu_checks.trainings import RECIPE, Training, curve, digits, exact_float32, inception
from nas.cli.app.compose import compose
from nas.cli.common.searches import run_search
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Executor, Job, Outcome
from nas.search import executors
from nas.study.summary import StudyReader
from nas.workers.local.process_group import join_process_group
from search_space.graph import Shape
from search_space.space import parse_space

Row = tuple[float, ...]

TRIALS, SLOTS = 4, 2
CLOSE = 0.01
"""Largest difference of losses of processes that share a batch from one that takes it in as many parts."""


def child_start(context: Context) -> Figures:
    """Train three jobs, each in a process of its own; the first also starts the fork server."""
    config: Any = compose("search", ["training.epochs=1", "workers.slots=1", "workers.jobs_per_child=1"])
    space = parse_space(config.space, Shape(1, 8, 8), 10)
    architecture = space.draw(random.Random(0)).to_json()
    executor = executors.executor_for(TrialRunner(config.data, config.training, 1), config.workers)
    seconds = []
    for number in range(3):
        began = time.perf_counter()
        curve(_ended(executor, Job(number, 1, architecture, 0, 0, 1, context.folder / str(number))))
        seconds.append(time.perf_counter() - began)
    executor.close()
    initialised = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    require(not initialised, "the driver must not initialise CUDA", {})
    return {"seconds_of_first_job": seconds[0], "seconds_of_later_jobs": min(seconds[1:])}


def slots(context: Context) -> Figures:
    """Search with one slot and with several on one device."""
    if context.device == "cuda":
        os.environ["CUDA_VISIBLE_DEVICES"] = _visible(0)
    figures: dict[str, object] = {}
    for count in (1, SLOTS):
        share = [f"workers.slots_per_device={count}"] if context.device == "cuda" else []
        words = [f"workers.slots={count}", *share, f"budget.trials={TRIALS}", "training.epochs=2", "tracking=none"]
        began = time.perf_counter()
        ended = run_search(compose("search", [*words, f"study=slots{count}", f"outputs={context.folder}"]))
        figures[f"seconds_with_{count}"] = time.perf_counter() - began
        document = StudyReader(ended.study).status_document()
        trials, retries = document["trials"], document["retries"]
        figures[f"trials_with_{count}"] = trials["complete"]
        require(
            trials["complete"] == TRIALS and not retries,
            f"{TRIALS} trials must complete without retries with {count} slots, got {trials} and {retries}",
            figures,
        )
    return figures


def ddp_gloo(context: Context) -> Figures:
    """Train over two processes that share the device, which NCCL refuses, with gloo."""
    return _shared(context, "gloo", (0, 0))


def ddp_nccl(context: Context) -> Figures:
    """Train over two GPUs."""
    return _shared(context, "nccl", (0, 1))


def _shared(context: Context, backend: str, devices: tuple[int, int]) -> Figures:
    exact_float32()
    training = _shared_training(context.device, context.folder / "together")
    alone = replace(training, folder=context.folder / "alone", parts=len(devices), devices=1)
    pool = multiprocessing.get_context("spawn").Pool(len(devices))
    with pool:
        meeting = context.folder / "meeting"
        given = [
            (context.device, backend, (rank, device), context.folder, meeting) for rank, device in enumerate(devices)
        ]
        found = pool.starmap(_rank, given, chunksize=1)
    expected = curve(alone.run())
    losses = max(_difference(expected, rows) for rows in found)
    figures = {"loss": losses}
    require(losses < CLOSE, f"losses must differ by less than {CLOSE}", figures)
    return figures


def _rank(device: str, backend: str, place: tuple[int, int], folder: Path, meeting: Path) -> list[Row]:
    """Train as one of two processes, and return its curve."""
    rank, number = place
    exact_float32()
    if device == "cuda":
        os.environ["CUDA_VISIBLE_DEVICES"] = _visible(number)
    torch.set_num_threads(1)
    join_process_group(rank, 2, meeting, backend)
    return [*curve(_shared_training(device, folder / "together").run())]


def _visible(number: int) -> str:
    named = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named[number] if named else str(number)


def _shared_training(device: str, folder: Path) -> Training:
    return Training(inception(Shape(1, 8, 8), 8), digits(), RECIPE, device, folder, devices=2)


def _difference(one: Sequence[Row], other: Sequence[Row]) -> float:
    pairs = zip(one, other, strict=True)
    return max(abs(a - b) for left, right in pairs for a, b in zip(left[:2], right[:2], strict=True))


def _ended(executor: Executor, job: Job) -> Outcome:
    executor.submit(job, lambda _, __: None)
    while not (ended := executor.wait(1.0)):
        pass
    return ended[0]
