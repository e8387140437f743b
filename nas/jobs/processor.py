"""Name of the processor."""

from __future__ import annotations

import platform
from pathlib import Path

PROCESSORS = Path("/proc/cpuinfo")


def processor_name() -> str:
    """Return the model of the processor as Linux has it, or else what Python knows of it, which may be empty."""
    try:
        lines = PROCESSORS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
