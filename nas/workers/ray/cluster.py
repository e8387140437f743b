"""Connection to a Ray cluster, and the resources that a training requests there."""

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
    """Error of a cluster that can't be reached or lacks the resources; a search that it ends can be resumed."""


@dataclass(frozen=True)
class ResourceRequest:
    """Resources that a training requests for each of its devices.

    Attributes:
        cpus: number of CPUs, at least 0.
        gpus: number of GPUs, or a share of one, at least 0.
    """

    cpus: float
    gpus: float

    def capacity(self, resources: Mapping[str, float]) -> int:
        """Return the number of such trainings that a machine with these resources runs at once.

        >>> ResourceRequest(cpus=2, gpus=0.5).capacity({"CPU": 8, "GPU": 1})
        2
        """
        counts = [] if self.cpus == 0 else [_fitting(resources.get("CPU", 0.0), self.cpus)]
        if self.gpus:
            gpus = int(resources.get("GPU", 0.0))
            counts.append(gpus * _fitting(1.0, self.gpus) if self.gpus < 1 else _fitting(gpus, self.gpus))
        return min(counts)

    def over(self, devices: int) -> ResourceRequest:
        """Return the request of a training over several devices."""
        return ResourceRequest(self.cpus * devices, self.gpus * devices)

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"


def _fitting(total: float, part: float) -> int:
    return int(total / part + ROUNDING)


def machines() -> list[Mapping[str, float]]:
    """Return the resources of every machine of the cluster."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def resource_request(spec: WorkersSpec, nodes: Sequence[Mapping[str, float]]) -> ResourceRequest:
    """Return the request of each device: as configured, else a GPU if the cluster has any, and a CPU a thread.

    Raises:
        ClusterError: no machine of the cluster has these resources.
    """
    any_gpu = any(node.get("GPU", 0.0) >= 1 for node in nodes)
    cpus = spec.threads_per_slot if spec.cpus_per_trial is None else spec.cpus_per_trial
    request = ResourceRequest(cpus, float(any_gpu) if spec.gpus_per_trial is None else spec.gpus_per_trial)
    whole = request.over(int(spec.devices_per_trial))
    if not any(whole.capacity(node) for node in nodes):
        raise ClusterError(
            f"a machine of the Ray cluster must have the resources of a training, {whole}; "
            f"the {len(nodes)} machines have {_maxima(nodes)} at most: "
            f"lower workers.cpus_per_trial or workers.gpus_per_trial, or add a machine"
        )
    return request


def _maxima(nodes: Sequence[Mapping[str, float]]) -> str:
    most = {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in ("CPU", "GPU")}
    return f"{most['CPU']:g} CPUs and {most['GPU']:g} GPUs"


def connect(spec: WorkersSpec) -> bool:
    """Join the cluster at `spec.address`, or start one on this machine that ends with this process.

    Returns:
        True if the caller has to disconnect; False if this process had joined a cluster before.

    Raises:
        ClusterError: there is no cluster at the address, or it refuses the connection.
    """
    if ray.is_initialized():
        return False
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's default today; it warns if this is unset
    _keep_stdout_clean()
    address = spec.address or AUTO
    with _sigterm_handler_kept():
        found = _running_address() if address == AUTO else None if address == LOCAL else address
        if found is None:
            _start(spec)
        else:
            _join(found)
    return True


def _running_address() -> str | None:
    """Return the address that Ray's `auto` would find: $RAY_ADDRESS, else the last cluster started here if it runs."""
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
        raise ClusterError(f"the Ray cluster at {address} must accept this search, it refuses: {reason}") from error
    log.info("joined the Ray cluster at %s, machines: %d", address, len(machines()))


def _answers(address: str) -> bool:
    """Return whether HOST:PORT accepts a connection."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


def _start(spec: WorkersSpec) -> None:
    """Start a cluster of this machine alone: on the loopback address, with a token that is not written to disk."""
    each = spec.threads_per_slot if spec.cpus_per_trial is None else spec.cpus_per_trial
    asked = 0 if spec.slots == AUTO else ceil(int(spec.slots) * each)
    # Ray would write a token into the home folder, for others to read. One that the user has set is kept.
    if not any(os.environ.get(name) for name in TOKENS):
        os.environ[TOKENS[0]] = secrets.token_hex(32)
    # Ray lowers the priority of its workers by default; worker processes of a local slot have the normal one.
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


def _keep_stdout_clean() -> None:
    """Send Ray's messages about machines to the log; standard output is for a command's result alone."""
    worker: Any = import_module("ray._private.worker")
    worker.print_to_stdstream = _log_event


def _log_event(event: Mapping[str, Any], *_: object, **__: object) -> None:
    lines = "\n".join(event["lines"]).strip().splitlines()
    log.warning("Ray: %s", lines[0] if lines else "an event without text")


@contextmanager
def _loopback() -> Iterator[None]:
    """Make Ray bind to the loopback address, which it does if this constant says that clusters are unsupported."""
    constants: Any = import_module("ray._private.ray_constants")
    before = constants.ENABLE_RAY_CLUSTER
    constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def _sigterm_handler_kept() -> Iterator[None]:
    """Restore the handler of SIGTERM, which Ray replaces when it starts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
