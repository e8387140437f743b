"""Optional libraries that export formats need."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

ONNX = ("onnx", "onnxscript", "onnxruntime")
"""Libraries that write, quantise and run ONNX files."""


def lacking(file: str, libraries: Sequence[str], install: str) -> str | None:
    """Return a line that names the libraries that a file needs and that are not installed; None if all are.

    Args:
        file: the file.
        libraries: top-level modules.
        install: the package or the extra that brings them, as pip takes it.
    """
    missing = [name for name in libraries if find_spec(name) is None]
    return f"{file} needs {', '.join(missing)}: pip install {install}" if missing else None


def optional(name: str) -> Any:
    """Return an optional library, imported only now.

    Args:
        name: its module, which `lacking` has found.
    """
    return import_module(name)
