"""Configuration of the worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from nas.config.ranges import SHOWN, Count, Few, Minutes, Range, Slots, check_fields, show

KEEP = ("all", "front", "none")
LOCAL, RAY = "local", "ray"
WORKERS = (LOCAL, RAY)
AUTO = "auto"


@dataclass(frozen=True)
class WorkersSpec:
    """Worker processes: number of trainings at once, and their devices.

    Attributes:
        name: `local`, child processes on this machine; `ray`, tasks on the machines of a Ray cluster; or the dotted
            path of a function of your own, `make(runner, workers) -> Executor`.
        slots: trainings at once, at least 1; `auto` is `slots_per_device` for each visible GPU, without a GPU one for
            `threads_per_slot` cores, and with `ray` as many as the cluster can run. GPUs are assigned in turn.
        slots_per_device: trainings that share a GPU if `slots` is `auto`, at least 1: small networks leave most of a
            GPU idle. Without a GPU it has no effect.
        devices_per_trial: devices that train one network together, at least 1, each of them a slot; `auto` decides by
            the memory of a training step and by `device_gmacs`, see docs/several_devices.md. The recipe is the same.
        device_gmacs: with `devices_per_trial=auto`, a network gets more devices than its memory needs as long as each
            device has at least this many 10⁹ multiply–accumulates in a forward step, positive; null decides by memory
            alone.
        jobs_per_child: trainings that one child process runs before a new one replaces it, at least 1; `auto` is up to
            50 if the start of a child, which is measured, takes more than 5 % of a training, and else 1. After a
            failure a new child starts in any case.
        threads_per_slot: CPU threads of one training, at least 1. Small networks are bound by the cost of calls; two
            threads that wait for each other on a busy machine are many times slower than one.
        pack: trainings of one network, with several seeds, that one process trains together as one network of grouped
            convolutions, at least 1; `auto` is what pays by the size of the network and leaves no slot idle, see
            docs/speed.md. Tables and retraining have several seeds of a network. Only with `workers=local`.
        retries: number of further attempts of a training whose process died, at least 0.
        keep: checkpoints to keep after their trials have ended: `front` (those of the front), `all` or `none`.
        slot_memory_gib: memory of one training in GiB, positive; null for the slot's share of its GPU's memory, or of
            the machine's. A network whose training step may need more is not trained.
        deadline_minutes: minutes after which a training is killed, positive; null for no deadline.
        address: with `ray`, HOST:PORT of the cluster's head; `auto`, the cluster in $RAY_ADDRESS or on this machine,
            and else a new one on this machine alone; `local`, always a new one. Without `ray`, null.
        cpus_per_trial: with `ray`, CPUs of a machine that a training reserves, at least 0; null for
            `threads_per_slot`.
        gpus_per_trial: with `ray`, GPUs of a machine that a training reserves, a fraction of one or a whole number;
            null for 1 if the cluster has any, and else 0. A training over several devices reserves CPUs and GPUs once
            for each of them, on one machine.

    Raises:
        ValueError: an unknown value, or a number out of range.
    """

    name: str = "local"
    slots: Slots | str = AUTO
    slots_per_device: Few = 1
    devices_per_trial: Few | str = 1
    device_gmacs: Annotated[float, Range(0, 1e9, above=True)] | None = None
    jobs_per_child: Count | str = AUTO
    threads_per_slot: Few = 1
    pack: Few | str = AUTO
    retries: Annotated[int, Range(0, 1000)] = 2
    keep: str = "front"
    slot_memory_gib: Annotated[float, Range(0, 1e6, above=True)] | None = None
    deadline_minutes: Minutes | None = None
    address: str | None = None
    cpus_per_trial: Annotated[float, Range(0, 10_000)] | None = None
    gpus_per_trial: Annotated[float, Range(0, 1000)] | None = None

    def __post_init__(self) -> None:
        self._check_numbers()
        dotted = "." in self.name and all(part.isidentifier() for part in self.name.split("."))
        if self.name not in WORKERS and not dotted:
            raise ValueError(
                f"workers.name must be one of {', '.join(WORKERS)}, or a dotted path such as my_module.make, "
                f"got {show(self.name)}"
            )
        if self.keep not in KEEP:
            raise ValueError(f"workers.keep must be one of {', '.join(KEEP)}, got {show(self.keep)}")
        self._check_remote()

    @property
    def deadline_seconds(self) -> float | None:
        """Seconds after which a training is killed; None for no deadline."""
        return None if self.deadline_minutes is None else 60 * self.deadline_minutes

    def _check_numbers(self) -> None:
        for name in ("slots", "devices_per_trial", "jobs_per_child", "pack"):
            given = getattr(self, name)
            if given != AUTO and (isinstance(given, str) or (isinstance(given, int) and given < 1)):
                raise ValueError(f"workers.{name} must be {AUTO} or at least 1, got {str(given)[:SHOWN]}")
        check_fields(self, "workers")

    def _check_remote(self) -> None:
        given = [name for name in ("address", "cpus_per_trial", "gpus_per_trial") if getattr(self, name) is not None]
        if self.name == LOCAL and given:
            raise ValueError(f"workers.{given[0]} is for workers=ray alone, got it with {self.name}")
        cpus, gpus = self.cpus_per_trial, self.gpus_per_trial
        if self.name != LOCAL and self.pack not in (AUTO, 1):
            raise ValueError(f"workers.pack must be {AUTO} or 1 with workers={self.name}, got {self.pack}")
        if self.name != LOCAL and self.devices_per_trial == AUTO:
            raise ValueError(f"workers.devices_per_trial must be a number with workers={self.name}, got {AUTO}")
        if gpus is not None and 0 < gpus < 1 and self.devices_per_trial != 1:
            raise ValueError(f"several devices a trial need whole GPUs, got workers.gpus_per_trial={gpus}")
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ValueError(f"workers.gpus_per_trial must be a share of one GPU or a whole number, got {gpus}")
        if cpus == 0 and not gpus:
            raise ValueError("a training must ask for something of a machine, got workers.cpus_per_trial=0 and no GPU")
