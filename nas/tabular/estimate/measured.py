"""Timing of a few networks of a space on this machine, by the executor and the processes of a search."""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nas.config.workers import LOCAL, WorkersSpec
from nas.evaluation.deferred_runner import DeferredRunner
from nas.evaluation.timing import TIMED_EPOCHS, Timing
from nas.jobs import Executor, Job, Outcome
from nas.objectives.costs.macs import COST as MACS
from nas.objectives.requirements import Examined
from nas.search.build import SearchPlan
from nas.search.executors import allocation_of, executor_for, resolved_data
from nas.tabular.estimate.process_age import process_age
from nas.workers.local.process_reuse import START_SHARE

AROUND = "nas.evaluation.timed_runner:TimedRunner"
SPREAD, DRAWS = 64, 4000
"""Networks of which those to time are chosen, and random draws until there are as many."""
LEAST, MOST = 3, 32
"""Networks that are timed, at least and at most, if the space has as many."""
SPANS = 24
"""Part of the time that one timed epoch of a network may take: eight networks or so take all of it."""
FORK_SECONDS = 0.15
"""Seconds until a fresh process takes its job."""
LONGEST_WAIT = 600.0
"""Seconds after which networks that take long are no longer waited for."""


@dataclass(frozen=True)
class TimedNetwork:
    """Network of the space with what a part of its training took.

    Attributes:
        network: the network.
        timing: its timed steps.
        wall: seconds from the submission of its job to the outcome.
        fresh: whether the job was the first of its slot.
        validate_every: epochs from one validation to the next.
    """

    network: Examined
    timing: Timing
    wall: float
    fresh: bool
    validate_every: int = 1

    @property
    def epoch_seconds(self) -> float:
        """Seconds of a full epoch: all its steps, its share of a validation, and what the end of an epoch takes."""
        timing = self.timing
        return self.step * timing.train_batches + self._validation / self.validate_every + self._ending

    @property
    def step(self) -> float:
        """Seconds of a training step."""
        return self.timing.train[-1].seconds / self.timing.train[-1].batches

    @property
    def _validation(self) -> float:
        span = self.timing.validation[-1]
        return span.seconds / span.batches * self.timing.val_batches

    @property
    def _ending(self) -> float:
        timing = self.timing
        return max(0.0, timing.epoch_seconds[-1] - timing.train[-1].seconds - timing.validation[-1].seconds)

    @property
    def first_excess(self) -> float:
        """Seconds by which the first epoch exceeds its steps at the later pace: initialisation, compilation."""
        first = self.timing.train[0]
        return max(0.0, first.seconds - first.batches * self.step) if len(self.timing.train) > 1 else 0.0

    @property
    def beside_epochs(self) -> float:
        """Seconds of the job beside its epochs: its way to the process, data, network, last checkpoint."""
        return max(0.0, self.wall - sum(self.timing.epoch_seconds))


@dataclass(frozen=True)
class Measured:
    """Measurements on this machine.

    Attributes:
        networks: the timed networks, at least one.
        start_up: seconds from the start of the command to the first batch of the first training.
        slots: trainings at once while they were timed.
        failures: reasons for which networks could not be trained.
    """

    networks: tuple[TimedNetwork, ...]
    start_up: float
    slots: int
    failures: tuple[str, ...] = ()

    def job_seconds(self, training: float) -> float:
        """Return the seconds that a job takes beside its epochs.

        A process whose start costs little beside a training serves one of them; else it serves many, see
        `nas/workers/local/process_reuse.py`.

        Args:
            training: seconds of a usual training.
        """
        later = [each.beside_epochs + each.first_excess for each in self.networks if not each.fresh]
        fresh = [each.first_excess for each in self.networks if each.fresh]
        usual = statistics.median(later) if later else FORK_SECONDS
        first = usual + (statistics.median(fresh) if fresh else 0.0) + FORK_SECONDS
        return first if first <= START_SHARE * training else usual


def spread_networks(plan: SearchPlan, seed: int) -> list[Examined]:
    """Return networks of the space within its limits, the middle one by MACs first, then the ends, then in between.

    Raises:
        ValueError: none of many random ones is within the limits.
    """
    requirements = plan.built.requirements
    generator, found = random.Random(seed), dict[str, Examined]()
    cheapest = plan.space.minimise(lambda architecture: requirements.costs.of_architecture(architecture)[MACS.name])
    _add(found, requirements.examine(cheapest))
    for _ in range(DRAWS):
        if len(found) >= SPREAD:
            break
        _add(found, requirements.examine(plan.space.draw(generator)))
    if not found:
        raise ValueError(f"limits must leave networks to time, {DRAWS} random ones were all outside: raise the limits")
    ordered = sorted(found.values(), key=lambda each: each.costs[MACS.name])
    places = dict.fromkeys(round(share * (len(ordered) - 1)) for share in _shares())
    return [ordered[place] for place in places]


def _add(found: dict[str, Examined], network: Examined) -> None:
    if network.feasible:
        found.setdefault(network.network_id, network)


def _shares() -> Iterator[float]:
    """Yield places from 0 to 1: the middle, the ends, then the middles of the gaps between those before."""
    yield from (0.5, 0.0, 1.0)
    for level in range(2, 7):
        yield from ((2 * index + 1) / 2**level for index in range(2 ** (level - 1)))


def local_workers(workers: WorkersSpec) -> WorkersSpec:
    """Return the workers that time networks on this machine, in place of those on others.

    Raises:
        ValueError: the workers are elsewhere, and their number is not given.
    """
    if workers.name == LOCAL:
        return workers
    if isinstance(workers.slots, str):
        raise ValueError(  # noqa: TRY004 - a setting of the user, not the type of an argument
            f"workers.slots must be a number for an estimate with workers={workers.name}: this machine is timed, and "
            f"the others are not asked; got {workers.slots}"
        )
    return WorkersSpec(threads_per_slot=workers.threads_per_slot, slot_memory_gib=workers.slot_memory_gib)


def measure(plan: SearchPlan, seconds: float) -> Measured:
    """Time networks of a plan's space for about so many seconds, as many at once as the search trains.

    Raises:
        ValueError: no network can be trained; the message says why.
    """
    config, workers = plan.config, local_workers(plan.config.workers)
    recipe = replace(config.training, epochs=max(TIMED_EPOCHS, config.training.epochs))
    runner = DeferredRunner(
        resolved_data(config.data, plan.images, workers),
        recipe,
        workers.threads_per_slot,
        AROUND,
        (seconds / SPANS, plan.images.shape),
        deterministic=config.deterministic,
    )
    networks, executor = spread_networks(plan, config.seed), executor_for(runner, workers)
    devices = allocation_of(recipe, workers)
    try:
        with tempfile.TemporaryDirectory(prefix="nas-estimate-") as folder:
            session = _Session(executor, Path(folder), seconds, recipe.validate_every)
            return session.run(networks[:MOST], [devices(each.architecture.to_json()) for each in networks[:MOST]])
    finally:
        executor.close()


class _Session:
    """Timing of networks through an executor."""

    def __init__(self, executor: Executor, folder: Path, seconds: float, validate_every: int) -> None:
        self._executor, self._folder, self._seconds = executor, folder, seconds
        self._validate_every = validate_every
        self._began, self._age = time.time(), process_age()
        self._found: list[TimedNetwork] = []
        self._failures: list[str] = []
        self._submitted: dict[Path, tuple[Examined, float, bool]] = {}

    def run(self, networks: Sequence[Examined], devices: Sequence[int]) -> Measured:
        waiting = list(zip(networks, devices, strict=True))
        deadline = time.monotonic() + LONGEST_WAIT + self._seconds
        while (waiting and not self._is_over()) or (self._submitted and not self._has_enough(deadline)):
            while waiting and self._free(waiting[0][1]) and not self._is_over():
                self._submit(*waiting.pop(0))
            for outcome in self._executor.wait(0.2):
                self._take(outcome)
            if len(self._failures) >= LEAST and not self._found:
                raise ValueError(f"a network of the space must be trainable to be timed, got {self._failures[0]}")
        if not self._found:
            said = self._failures[0] if self._failures else f"none ended within {LONGEST_WAIT / 60:.0f} minutes"
            raise ValueError(f"a network of the space must be trainable to be timed, got {said}")
        first = min(each.timing.began for each in self._found)
        start_up = max(0.0, first - self._began) + self._age
        return Measured(tuple(self._found), start_up, self._executor.slots, tuple(self._failures))

    def _free(self, devices: int) -> bool:
        used = sum(1 for _ in self._submitted)
        return used == 0 or used * devices + devices <= self._executor.slots

    def _is_over(self) -> bool:
        """Return whether no further network is started: the time is over, or would be."""
        if len(self._found) + len(self._submitted) < LEAST:
            return False
        first = min((each.timing.began for each in self._found), default=time.time())
        usual = statistics.median([each.wall for each in self._found]) if self._found else 0.0
        return time.time() + usual > first + self._seconds

    def _has_enough(self, deadline: float) -> bool:
        return time.monotonic() > deadline and bool(self._found)

    def _submit(self, network: Examined, devices: int) -> None:
        number = len(self._found) + len(self._failures) + len(self._submitted)
        folder = self._folder / f"{number:03d}"
        folder.mkdir()
        job = Job(
            trial=number,
            attempt=1,
            architecture=network.architecture.to_json(),
            seed=0,
            from_epoch=0,
            to_epoch=TIMED_EPOCHS,
            folder=folder,
            devices=min(devices, self._executor.slots),
        )
        self._submitted[folder] = network, time.perf_counter(), number < self._executor.slots
        self._executor.submit(job, lambda _job, _row: None)

    def _take(self, outcome: Outcome) -> None:
        network, submitted, fresh = self._submitted.pop(outcome.job.folder)
        if outcome.failure is not None:
            self._failures.append(outcome.failure.message)
            return
        timing, wall = Timing.read(outcome.job.folder), time.perf_counter() - submitted
        self._found.append(TimedNetwork(network, timing, wall, fresh, self._validate_every))


def load_of_machine() -> float | None:
    """Return the mean number of processes that wanted a core in the last minute, None where it is not told."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None
