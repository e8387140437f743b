"""The Ray cluster that a search runs on: joined or started, and what of it a training asks for."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from math import ceil
from pathlib import Path
from typing import Any

import ray

from nas.config.workers import AUTO, LOCAL, WorkersSpec
from nas.workers.devices import cores

ROUNDING = 1e-6
TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
ANSWER_SECONDS = 5.0

log = logging.getLogger(__name__)


class ClusterError(ValueError):
    """The cluster can't be had, or can't do what is asked of it; a search that it ends can be resumed."""


@dataclass(frozen=True)
class Request:
    """What one training asks of a machine, or one device of it.

    Attributes:
        cpus: CPUs, at least 0.
        gpus: GPUs, or a share of one, at least 0.
    """

    cpus: float
    gpus: float

    def at_once(self, resources: Mapping[str, float]) -> int:
        """How many such trainings a machine with these resources runs at once.

        >>> Request(cpus=2, gpus=0.5).at_once({"CPU": 8, "GPU": 1})
        2
        """
        counts = [] if self.cpus == 0 else [_times(resources.get("CPU", 0.0), self.cpus)]
        if self.gpus:
            gpus = int(resources.get("GPU", 0.0))
            counts.append(gpus * _times(1.0, self.gpus) if self.gpus < 1 else _times(gpus, self.gpus))
        return min(counts)

    def times(self, devices: int) -> Request:
        """What a training over several devices asks for."""
        return Request(self.cpus * devices, self.gpus * devices)

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"


def _times(whole: float, part: float) -> int:
    return int(whole / part + ROUNDING)


def machines() -> list[Mapping[str, float]]:
    """The resources of every machine that the cluster has now."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def request_of(spec: WorkersSpec, nodes: Sequence[Mapping[str, float]]) -> Request:
    """What a training asks for each device: as set, else a GPU where the cluster has any, and a CPU a thread.

    Raises:
        ClusterError: no machine of the cluster can meet it.
    """
    any_gpu = any(node.get("GPU", 0.0) >= 1 for node in nodes)
    cpus = spec.threads_per_slot if spec.cpus_per_trial is None else spec.cpus_per_trial
    request = Request(cpus, float(any_gpu) if spec.gpus_per_trial is None else spec.gpus_per_trial)
    whole = request.times(int(spec.devices_per_trial))
    if not any(whole.at_once(node) for node in nodes):
        raise ClusterError(
            f"some machine of the Ray cluster must have what a training asks for, {whole}; "
            f"the {len(nodes)} that there are have {_best(nodes)} at most: "
            f"lower workers.cpus_per_trial or workers.gpus_per_trial, or add a machine"
        )
    return request


def _best(nodes: Sequence[Mapping[str, float]]) -> str:
    most = {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in ("CPU", "GPU")}
    return f"{most['CPU']:g} CPUs and {most['GPU']:g} GPUs"


def connect(spec: WorkersSpec) -> bool:
    """Join the cluster at `spec.address`, or start one on this machine that ends with this process.

    Returns:
        Whether to disconnect at the end: False where this process had joined a cluster before.

    Raises:
        ClusterError: there is no cluster at the address, or it doesn't let us in.
    """
    if ray.is_initialized():
        return False
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's default today; unsaid, it warns
    _keep_standard_output()
    address = spec.address or AUTO
    with _signals_kept():
        found = _running() if address == AUTO else None if address == LOCAL else address
        if found is None:
            _start(spec)
        else:
            _join(found)
    return True


def _running() -> str | None:
    """Where Ray's own `auto` would look: the environment, then what was started last on this machine, if it answers."""
    named = os.environ.get("RAY_ADDRESS")
    if named:
        return named
    note = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"  # where Ray writes it
    try:
        address = note.read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return address if address and _answers(address) else None


def _join(address: str) -> None:
    if "://" in address:
        raise ClusterError(
            f"workers.address must be HOST:PORT of the cluster's head, got {address}: "
            f"run the search on one of the cluster's machines, it needs none of its GPUs"
        )
    if not _answers(address):  # Ray itself would try for minutes
        raise ClusterError(f"workers.address must name a running Ray cluster, nothing answers at {address}")
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        reason = " ".join(str(error).split())
        raise ClusterError(f"the Ray cluster at {address} must let this search in, it does not: {reason}") from error
    log.info("joined the Ray cluster at %s, machines: %d", address, len(machines()))


def _answers(address: str) -> bool:
    """Whether anybody listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


def _start(spec: WorkersSpec) -> None:
    """Start a cluster of this machine alone: on the loopback address, behind a token that is written nowhere."""
    each = spec.threads_per_slot if spec.cpus_per_trial is None else spec.cpus_per_trial
    asked = 0 if spec.slots == AUTO else ceil(int(spec.slots) * each)
    # Ray would write a token into the home folder, for others to read. One that the person has set is kept.
    if not any(os.environ.get(name) for name in TOKENS):
        os.environ[TOKENS[0]] = secrets.token_hex(32)
    # Ray gives way to all other programs by default, which children on a local slot don't.
    os.environ.setdefault("RAY_worker_niceness", "0")
    with _loopback():
        ray.init(
            address="local",
            num_cpus=max(cores(), asked),
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    log.info("started a Ray cluster on this machine")


def _keep_standard_output() -> None:
    """Ray prints what happens to machines on standard output, where a command's result is to stand alone."""
    worker: Any = import_module("ray._private.worker")
    worker.print_to_stdstream = _log_event


def _log_event(event: Mapping[str, Any], *_: object, **__: object) -> None:
    lines = "\n".join(event["lines"]).strip().splitlines()
    log.warning("Ray: %s", lines[0] if lines else "an event without a word")


@contextmanager
def _loopback() -> Iterator[None]:
    """Ray binds to the loopback address where it takes clusters for impossible, which it decides by this constant."""
    constants: Any = import_module("ray._private.ray_constants")
    before = constants.ENABLE_RAY_CLUSTER
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself when it is started."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
