"""Description of the device at hand, by which fitted models are found: a model holds on the device it was fitted on."""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from pathlib import Path

from nas.jobs.processor import processor_name

GPUS = Path("/proc/driver/nvidia/gpus")


@cache
def this_machine(device: str = "cpu") -> dict[str, str]:
    """Return the description of the device at hand, with nothing personal in it.

    Args:
        device: `cpu`, or `cuda` for the first GPU.
    """
    found = {"device": device, "system": platform.system(), "architecture": platform.machine()}
    if device == "cuda":
        return {**found, "model": _gpu()}
    return {**found, "model": processor_name() or "unknown", "cores": str(os.cpu_count() or 1)}


def _gpu() -> str:
    folders = sorted(GPUS.iterdir()) if GPUS.is_dir() else []
    found = re.search(r"^Model:\s*(.+)$", _text(folders[0] / "information"), re.MULTILINE) if folders else None
    return found[1].strip() if found else "unknown"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
