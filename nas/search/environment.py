"""Environment that the numbers of a study were measured in: versions and machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from typing import Any

from nas.jobs.processor import processor_name
from nas.workers.gpus import gpu_models

PACKAGES = ("torch", "pytorch-lightning", "torchmetrics", "optuna", "hydra-core", "numpy", "kornia", "datasets")


def environment() -> dict[str, Any]:
    """Return versions, processor, cores and GPUs as a JSON object."""
    return {
        "inception-nas": version("inception-nas"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "gpus": gpu_models(),
        "packages": {name: version(name) for name in PACKAGES},
    }
