"""Ray cluster of this machine for the length of a test, whose workers can import the modules of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def ray_here(**settings: str) -> Iterator[None]:
    """Start a cluster with two CPUs and two made-up GPUs.

    Args:
        **settings: environment of the cluster's processes, which this one has for as long too.
    """
    import ray  # noqa: PLC0415 - half a second

    from nas.workers.ray.cluster import _loopback  # noqa: PLC0415 - needs ray

    support = Path(__file__).parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "unset")
        patch.delenv("RAY_AUTH_MODE")  # Ray sets it, and the context then takes it away again
        patch.setenv("RAY_AUTH_TOKEN", "t" * 64)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("PYTHONPATH", str(support / "blindfold"), prepend=":")
        patch.setenv("PYTHONPATH", str(support), prepend=":")
        for name, value in settings.items():
            patch.setenv(name, value)
        with _loopback():
            ray.init(address="local", num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False)
        try:
            yield
        finally:
            ray.shutdown()
