"""Forecast of a search: the ranges of its time, trainings, memory and disk, from measurements and simulations."""

from __future__ import annotations

import math
import resource
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nas.objectives.costs.macs import COST as MACS
from nas.objectives.costs.params import COST as PARAMS
from nas.search.build import SearchPlan
from nas.search.executors import slot_bytes
from nas.tabular.estimate.measured import Measured, TimedNetwork, load_of_machine, local_workers, measure
from nas.tabular.estimate.seconds import EpochSeconds, fit, work
from nas.tabular.estimate.spending import Spending, Usual, simulate
from nas.tabular.estimate.worlds import WORLDS
from nas.workers.devices import cores, machine_memory
from search_space.architecture import Architecture
from search_space.lowering import lower

MIB = 2**20
DRIFT = 0.15
"""Share by which a machine may be slower or faster later than while it was timed."""
ENDING = (0.5, 6.0)
"""Seconds to write the results at the end: the front, its picture, what the tracker still sends."""
START_UP = (0.8, 1.6)
"""Least and largest start-up over the measured one."""
A_TRIAL = (8 * 2**10, 64 * 2**10)
"""Bytes of a trial beside its checkpoints: rows of the database, log, the tracker's records."""
A_STUDY = (MIB // 4, 8 * MIB)
"""Bytes of a study beside its trials: database, page, pictures, the tracker's folder."""


@dataclass(frozen=True)
class Range:
    """Interval in which a quantity probably lies.

    Attributes:
        low: lower end.
        high: upper end, at least `low`.
    """

    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """Return the interval as a JSON object, with four digits."""
        return {"low": _digits(self.low), "high": _digits(self.high)}


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


@dataclass(frozen=True)
class Models:
    """Models of the networks of a space, fitted to those that were timed.

    Attributes:
        epoch: seconds of an epoch.
        checkpoint: bytes of a checkpoint: constant, and those of a parameter.
        usual: what a simulation needs.
    """

    epoch: EpochSeconds
    checkpoint: tuple[float, float]
    usual: Usual

    def checkpoint_bytes(self, params: float) -> float:
        """Return the bytes of the checkpoint of a network with so many parameters."""
        return max(0.0, self.checkpoint[0] + self.checkpoint[1] * params)


def fitted(plan: SearchPlan, measured: Measured) -> Models:
    """Return the models that fit the timed networks."""
    networks, epochs = measured.networks, plan.config.training.epochs
    epoch = fit(
        [work(lower(each.network.architecture)) for each in networks], [each.epoch_seconds for each in networks]
    )
    training = epochs * statistics.fmean(each.epoch_seconds for each in networks)
    usual = Usual(_placed(plan, networks, epoch), training, measured.job_seconds(training), _slots(plan, measured))
    return Models(epoch, _line(networks), usual)


def _slots(plan: SearchPlan, measured: Measured) -> int:
    """Return the number of trainings at once, which may be on machines that are not timed."""
    return measured.slots if isinstance(plan.config.workers.slots, str) else int(plan.config.workers.slots)


def _placed(plan: SearchPlan, networks: Sequence[TimedNetwork], epoch: EpochSeconds) -> Callable[..., Any]:
    """Return the function that gives place, identity and epoch seconds of an architecture in JSON form."""
    logs = [math.log(max(1.0, each.network.costs[MACS.name])) for each in networks]
    low, span = min(logs), max(1e-9, max(logs) - min(logs))
    known: dict[Architecture, tuple[float, str, float]] = {}

    def place(document: Mapping[str, object]) -> tuple[float, str, float]:
        architecture = Architecture.from_json(dict(document))
        if architecture not in known:
            macs = plan.built.requirements.measure(architecture)[1][MACS.name]
            size = (math.log(max(1.0, macs)) - low) / span
            known[architecture] = size, architecture.id, epoch.predict(lower(architecture))
        return known[architecture]

    return place


def _line(networks: Sequence[TimedNetwork]) -> tuple[float, float]:
    """Return constant and slope of the bytes of a checkpoint over the parameters."""
    params = np.array([each.network.costs[PARAMS.name] for each in networks], dtype=float)
    sizes = np.array([each.timing.checkpoint_bytes for each in networks], dtype=float)
    if len(set(params.tolist())) < 2:
        return 0.0, float(sizes.mean() / max(1.0, params.mean()))
    slope, constant = np.polyfit(params, sizes, 1)
    return float(constant), float(slope)


@dataclass(frozen=True)
class Forecast:
    """Forecast of one search.

    Attributes:
        plan: the search.
        measured: what was timed.
        models: models of the networks.
        spendings: the search in each of the imagined worlds.
    """

    plan: SearchPlan
    measured: Measured
    models: Models
    spendings: tuple[Spending, ...]

    @property
    def slack(self) -> float:
        """Factor by which all trainings may be slower, or faster, than predicted."""
        return 1.0 + DRIFT + self.models.epoch.spread / math.sqrt(len(self.measured.networks))

    def seconds(self) -> Range:
        """Return the seconds from the command to its end."""
        found, minutes = [each.seconds for each in self.spendings], self.plan.config.budget.minutes
        start = self.measured.start_up
        low, high = min(found) / self.slack, max(found) * self.slack
        if minutes is not None:
            longest = 60.0 * minutes
            low, high = min(low, longest), min(high, longest + self.epoch_seconds().high)
            if min(found) >= longest:  # in every world the time ends it
                low = longest
        return Range(low + START_UP[0] * start + ENDING[0], high + START_UP[1] * start + ENDING[1])

    def epoch_seconds(self) -> Range:
        """Return the seconds of an epoch of the timed networks."""
        found = [each.epoch_seconds for each in self.measured.networks]
        return Range(min(found), max(found))

    def trials(self) -> Range:
        """Return the number of trials, complete or pruned."""
        found, budget = [each.trials for each in self.spendings], self.plan.config.budget
        if budget.minutes is None and budget.trainings is None:
            return Range(min(found), max(found))
        most = math.inf if budget.trials is None else budget.trials
        loose = 1.0 if budget.minutes is None else self.slack
        return Range(math.floor(min(found) / loose), min(most, math.ceil(max(found) * loose)))

    def trainings(self) -> Range:
        """Return the training time in full trainings."""
        return self._spent([each.trainings for each in self.spendings])

    def training_seconds(self) -> Range:
        """Return the training time, summed over the slots."""
        return self._spent([each.training_seconds for each in self.spendings], always=True)

    def _spent(self, found: Sequence[float], *, always: bool = False) -> Range:
        loose = self.slack if always or self.plan.config.budget.minutes is not None else 1.0
        return Range(min(found) / loose, max(found) * loose)

    def training_bytes(self) -> Range:
        """Return the memory of the process of one training: the measured one, and at most that of any network."""
        found = [each.timing.process_bytes for each in self.measured.networks]
        if self.on_gpu:
            return Range(min(found), max(found))
        return Range(min(found), max(*found, min(found) + self._largest_step()))

    def gpu_bytes(self) -> Range:
        """Return the memory of a GPU that one training takes; of zeros without a GPU."""
        found = [each.timing.gpu_bytes for each in self.measured.networks]
        return Range(min(found), max(*found, self._largest_step() if self.on_gpu else 0))

    @property
    def on_gpu(self) -> bool:
        """True if the networks were trained on a GPU."""
        return any(each.timing.gpu_bytes for each in self.measured.networks)

    def _largest_step(self) -> int:
        memory, networks = self.plan.memory, [each.network for each in self.measured.networks]
        return max(memory.needed(lower(each.architecture)) for each in networks)

    def memory_bytes(self) -> Range:
        """Return the memory of driver and trainings together; their processes share what they have loaded."""
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        one, slots = self.training_bytes(), self.measured.slots
        shared = one.low
        return Range(own + shared, own + shared + slots * max(one.high - shared, 64 * MIB))

    def disk_bytes(self) -> Range:
        """Return the bytes that the study takes, from those at its end to most of those while it is searched."""
        mean = statistics.fmean(each.timing.checkpoint_bytes for each in self.measured.networks)
        stay, trials = [self._staying(spending, mean) for spending in self.spendings], self.trials()
        unfinished = 2 * mean * max(spending.running for spending in self.spendings)  # two of each, for a moment
        beside = Range(A_STUDY[0] + A_TRIAL[0] * trials.low, A_STUDY[1] + A_TRIAL[1] * trials.high)
        return Range(0.5 * min(stay) + beside.low, 1.5 * max(stay) + unfinished + beside.high)

    def _staying(self, spending: Spending, mean: float) -> float:
        """Return the bytes of the checkpoints that stay at the end."""
        keep = self.plan.config.workers.keep
        if keep == "all":
            return mean * spending.trials
        if keep == "none":
            return 0.0
        measure_costs = self.plan.built.requirements.measure
        front = [measure_costs(Architecture.from_json(dict(each)))[1][PARAMS.name] for each in spending.front]
        return sum(map(self.models.checkpoint_bytes, front))

    def document(self) -> dict[str, Any]:
        """Return the forecast as a JSON document."""
        config, timed = self.plan.config, self.measured.networks
        epochs = config.training.epochs
        trainings = sorted(epochs * each.epoch_seconds for each in timed)
        free = shutil.disk_usage(existing(Path(config.outputs).expanduser())).free
        gpu = {"gpu_mib": _mib(self.gpu_bytes())} if self.on_gpu else {}
        document = {
            "data": config.data.slug,
            "space": self.plan.space.name,
            "budget": {name: value for name, value in vars(config.budget).items() if value is not None},
            "seconds": self.seconds().to_json(),
            "trials": self.trials().to_json(),
            "trainings": self.trainings().to_json(),
            "training_seconds": self.training_seconds().to_json(),
            "process_memory_mib": _mib(self.memory_bytes()) | {"available": machine_memory() / MIB},
            "training_memory_mib": _mib(self.training_bytes()),
            **gpu,
            "disk_mib": _mib(self.disk_bytes()) | {"free": _digits(free / MIB)},
            "measured": {
                "networks": len(timed),
                "failed": len(self.measured.failures),
                "slots": self.models.usual.slots,
                "full_training_seconds": {
                    "min": _digits(trainings[0]),
                    "median": _digits(statistics.median(trainings)),
                    "max": _digits(trainings[-1]),
                },
                "job_seconds": _digits(self.models.usual.job),
                "start_up_seconds": _digits(self.measured.start_up),
                "spread": _digits(self.models.epoch.spread),
                "simulated_trials": [spending.simulated for spending in self.spendings],
                "load": load_of_machine(),
                "cores": cores(),
            },
        }
        return document | {"advice": self.advice(document)}

    def advice(self, document: Mapping[str, Any]) -> list[str]:
        """Return what is to be known, or done, before the search is begun."""
        config, found = self.plan.config, list[str]()
        memory, disk = document["process_memory_mib"], document["disk_mib"]
        if memory["high"] > memory["available"]:
            found.append(
                f"memory may not suffice: up to {memory['high']:,.0f} MiB of {memory['available']:,.0f}; "
                f"workers.slots={max(1, self.measured.slots // 2)} or a smaller training.batch_size takes less"
            )
        if disk["high"] > disk["free"]:
            found.append(
                f"the disk may not suffice: up to {disk['high']:,.0f} MiB, {disk['free']:,.0f} are free in "
                f"{config.outputs}; workers.keep=none keeps no checkpoints, outputs=DIR names another disk"
            )
        if self.measured.failures:
            found.append(
                f"{len(self.measured.failures)} of the networks tried could not be trained: {self.measured.failures[0]}"
            )
        if (load := load_of_machine()) is not None and load > cores() + self.measured.slots:
            found.append(
                f"the machine is busy, load {load:.1f} on {cores()} cores: the search is faster once it is idle"
            )
        if config.budget.min_gain is not None:
            found.append("budget.min_gain may end the search earlier: by how much is not known before it begins")
        if config.training.progressive_resize is not None:
            found.append("epochs are timed at full images: training.progressive_resize makes the first ones faster")
        return found


def _mib(sizes: Range) -> dict[str, float]:
    return Range(sizes.low / MIB, sizes.high / MIB).to_json()


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


def forecast(plan: SearchPlan, seconds: float) -> Forecast:
    """Time networks for about so many seconds, and simulate the search for as long at most.

    Raises:
        ValueError: no network can be trained, or the search is on machines whose number is not given.
    """
    local_workers(plan.config.workers)
    slot_bytes(plan.config.workers)
    measured = measure(plan, seconds)
    models = fitted(plan, measured)
    longest = seconds / len(WORLDS)
    return Forecast(plan, measured, models, tuple(simulate(plan, world, models.usual, longest) for world in WORLDS))
