"""Executor of jobs on the machines of a Ray cluster."""

from __future__ import annotations

from nas.config.workers import WorkersSpec
from nas.jobs import Executor, Runner


def make(runner: Runner, workers: WorkersSpec) -> Executor:
    """Return an executor on the Ray cluster that `workers` describes; join or start the cluster.

    Args:
        runner: runs the jobs; picklable. The images of an `ImageRunner` are sent to machines that lack them.
        workers: address of the cluster, resources of a training and deadline.

    Raises:
        ValueError: Ray is not installed, there is no such cluster, or no machine of it has the resources.
    """
    try:
        from nas.workers.ray.executor import ray_executor  # noqa: PLC0415 - half a second, and of an extra
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ValueError("workers=ray needs Ray: pip install 'inception-nas[ray]'") from error
    return ray_executor(runner, workers)
