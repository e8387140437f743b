"""Environment that the numbers of a study were measured in: versions and machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nas.workers.gpus import gpu_models

PACKAGES = ("torch", "pytorch-lightning", "torchmetrics", "optuna", "hydra-core", "numpy", "kornia", "datasets")


def environment() -> dict[str, Any]:
    """Return versions, processor, cores and GPUs as a JSON object."""
    return {
        "inception-nas": version("inception-nas"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "gpus": gpu_models(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
