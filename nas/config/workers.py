"""Who trains, as plain checked values."""

from __future__ import annotations

from dataclasses import dataclass

KEEP = ("all", "front", "none")
LOCAL, RAY = "local", "ray"
WORKERS = (LOCAL, RAY)
AUTO = "auto"


@dataclass(frozen=True)
class WorkersSpec:
    """How many trainings run at once, and where.

    Attributes:
        name: `local`, child processes on this machine; `ray`, on the machines of a Ray cluster.
        slots: trainings at once, at least 1; `auto` is `slots_per_device` a visible GPU, and without a GPU as many as
            the cores give. GPUs are given to the slots in turn. With `ray`, `auto` is as many as its machines can run.
        slots_per_device: trainings that share a GPU where `slots` is `auto`, at least 1: small networks leave most of
            one idle. Without a GPU it says nothing.
        devices_per_trial: devices that train one network together, at least 1, each of which is a slot; `auto` goes by
            the memory that a step takes and by `device_gmacs`, see docs/several_devices.md. The recipe stays as it is.
        device_gmacs: with `devices_per_trial=auto`, networks get more devices than their memory needs as long as each
            device has this many 10⁹ multiply–accumulates in a step (forward), positive; null to go by memory alone.
        jobs_per_child: trainings that a child process serves before a fresh one takes its place, at least 1; `auto` is
            up to 50 where the start of a child costs more than 5 % of a training, which it measures, and else 1. After
            a failure there is a fresh one in any case.
        threads_per_slot: CPU threads of one training, at least 1. Small networks are bound by the cost of calls, and
            two threads that wait for each other on a busy machine are many times slower than one.
        retries: how often a training whose process died is tried again, at least 0.
        keep: which checkpoints stay once their trial has ended: `front` those of the front, `all`, or `none`.
        slot_memory_gib: memory that a training may take in GiB, positive; null for the share of a slot in its GPU's
            memory, or in the machine's. Networks whose training step might take more are not started.
        deadline_minutes: minutes after which a training is killed; null for no deadline.
        address: with `ray`, HOST:PORT of the cluster's head; `auto`, the cluster that $RAY_ADDRESS names or that runs
            on this machine, and where there is none a cluster of this machine alone; `local`, always that. Else null.
        cpus_per_trial: with `ray`, CPUs that a training asks of a machine, at least 0; null for `threads_per_slot`.
        gpus_per_trial: with `ray`, GPUs that a training asks of a machine, a share of one or a whole number; null for 1
            where the cluster has any and else 0. Over several devices it asks for as many times the one and the other,
            on one machine.

    Raises:
        ValueError: a name that there is not, or a number out of range.
    """

    name: str = "local"
    slots: int | str = AUTO
    slots_per_device: int = 1
    devices_per_trial: int | str = 1
    device_gmacs: float | None = None
    jobs_per_child: int | str = AUTO
    threads_per_slot: int = 1
    retries: int = 2
    keep: str = "front"
    slot_memory_gib: float | None = None
    deadline_minutes: float | None = None
    address: str | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None

    def __post_init__(self) -> None:
        if self.name not in WORKERS:
            raise ValueError(f"workers.name must be one of {', '.join(WORKERS)}, got {self.name!r}")
        for name in ("slots", "devices_per_trial", "jobs_per_child"):
            given = getattr(self, name)
            if given != AUTO and (isinstance(given, str) or given < 1):
                raise ValueError(f"workers.{name} must be {AUTO} or at least 1, got {given}")
        if self.slots_per_device < 1:
            raise ValueError(f"workers.slots_per_device must be at least 1, got {self.slots_per_device}")
        if self.threads_per_slot < 1:
            raise ValueError(f"workers.threads_per_slot must be at least 1, got {self.threads_per_slot}")
        if self.retries < 0:
            raise ValueError(f"workers.retries must be at least 0, got {self.retries}")
        if self.keep not in KEEP:
            raise ValueError(f"workers.keep must be one of {', '.join(KEEP)}, got {self.keep!r}")
        for name in ("device_gmacs", "slot_memory_gib", "deadline_minutes"):
            given = getattr(self, name)
            if given is not None and not given > 0:
                raise ValueError(f"workers.{name} must be positive, got {given}")
        self._check_ray()

    def _check_ray(self) -> None:
        given = [name for name in ("address", "cpus_per_trial", "gpus_per_trial") if getattr(self, name) is not None]
        if self.name != RAY and given:
            raise ValueError(f"workers.{given[0]} is for workers=ray alone, got it with {self.name}")
        cpus, gpus = self.cpus_per_trial, self.gpus_per_trial
        if self.name == RAY and self.devices_per_trial == AUTO:
            raise ValueError(f"workers.devices_per_trial must be a number with workers=ray, got {AUTO}")
        if gpus is not None and 0 < gpus < 1 and self.devices_per_trial != 1:
            raise ValueError(f"several devices a trial need whole GPUs, got workers.gpus_per_trial={gpus}")
        if cpus is not None and cpus < 0:
            raise ValueError(f"workers.cpus_per_trial must be at least 0, got {cpus}")
        if gpus is not None and (gpus < 0 or (gpus > 1 and gpus != int(gpus))):
            raise ValueError(f"workers.gpus_per_trial must be a share of one GPU or a whole number, got {gpus}")
        if cpus == 0 and not gpus:
            raise ValueError("a training must ask for something of a machine, got workers.cpus_per_trial=0 and no GPU")
