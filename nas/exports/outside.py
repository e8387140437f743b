"""Running a file of the bundle where this project does not exist: a Python process that refuses to import it."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.exports import ExportError

TIMEOUT_SECONDS = 900
Outputs = Callable[[Path, Any], tuple[Any, dict[str, str]]]

WALL = '''
from __future__ import annotations

import sys


class Wall:
    """Lets nobody import what the bundle must do without."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {"nas", "search_space"}:
            raise ModuleNotFoundError(f"{name} is what the bundle must do without")
        return None


sys.meta_path.insert(0, Wall())

import json
from pathlib import Path

import numpy as np
'''

CALL = """
folder, pixels_file, outputs_file = map(Path, sys.argv[1:])
found, versions = outputs(folder, np.load(pixels_file, allow_pickle=False))
np.save(outputs_file, found)
print(json.dumps({"python": sys.version.partition(" ")[0], **versions}))
"""


@dataclass(frozen=True, eq=False)
class Ran:
    """What a file gave in a process of its own.

    Attributes:
        outputs: its outputs.
        versions: of Python and of the libraries that it needs.
    """

    outputs: NDArray[Any]
    versions: dict[str, str]


def normalised(folder: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Inputs (N, C, H, W) for pixels (N, C, H, W), as the bundle's `preprocessing.json` says."""
    rule = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
    mean, std = (np.array(rule[key], dtype=np.float32)[:, None, None] for key in ("mean", "std"))
    images: NDArray[np.float32] = ((pixels.astype(np.float32) / 255 - mean) / std).astype(np.float32)
    return images


def run_outside(file: str, outputs: Outputs, folder: Path, pixels: NDArray[np.uint8]) -> Ran:
    """Call `outputs(folder, pixels)` in a Python process that can't import this project.

    Args:
        file: what is tried, for an error.
        outputs: a function called `outputs`, of whose module only its own text gets there: it imports what it needs,
            beside `json`, `np`, `Path`, `sys` and `normalised`. It gives an array and versions.
        folder: the bundle.
        pixels: (N, C, H, W).

    Raises:
        ExportError: the process failed; the message has its last line.
    """
    program = "\n".join([WALL, inspect.getsource(normalised), inspect.getsource(outputs), CALL])
    with tempfile.TemporaryDirectory(prefix="nas-outside-") as scratch:
        pixels_file, outputs_file = Path(scratch, "pixels.npy"), Path(scratch, "outputs.npy")
        np.save(pixels_file, pixels)
        command = [sys.executable, "-I", "-B", "-c", program, *map(str, (folder.resolve(), pixels_file, outputs_file))]
        try:
            ran = subprocess.run(
                command, cwd=scratch, capture_output=True, encoding="utf-8", errors="replace", timeout=TIMEOUT_SECONDS,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ExportError(f"{file} must run on its own, it did not end within {TIMEOUT_SECONDS} s") from None
        if ran.returncode:
            last = (ran.stderr.strip().splitlines() or [f"exit code {ran.returncode}"])[-1]
            raise ExportError(f"{file} must run on its own, it does not: {last}")
        versions = json.loads(ran.stdout.strip().splitlines()[-1])
        return Ran(np.load(outputs_file, allow_pickle=False), versions)


def compared(ran: Ran, reference: NDArray[Any]) -> dict[str, Any]:
    """How far the outputs of a file are from the module's.

    `max_difference` is the largest absolute difference of two logits, as a share of the largest logit where that
    exceeds 1: float32 itself is no more exact than that.

    Args:
        ran: what the file gave, (N, classes).
        reference: what the module gave, (N, classes).
    """
    if ran.outputs.shape != reference.shape:
        raise ExportError(f"outputs must have the shape {reference.shape}, got {ran.outputs.shape}")
    agreement = float((ran.outputs.argmax(axis=1) == reference.argmax(axis=1)).mean())
    return {
        "max_difference": difference(ran.outputs, reference),
        "argmax_agreement": agreement,
        "images": len(reference),
        "versions": ran.versions,
    }


def difference(found: NDArray[Any], reference: NDArray[Any]) -> float:
    """Largest absolute difference, as a share of the largest absolute value where that exceeds 1.

    >>> difference(np.array([1.0, 30.0]), np.array([1.5, 32.0])), difference(np.array([0.5]), np.array([0.25]))
    (0.0625, 0.25)
    """
    return float(np.abs(found - reference).max() / max(1.0, float(np.abs(reference).max())))
