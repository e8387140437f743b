"""Isolated run of a bundle's file: a Python process that refuses to import this project."""

from __future__ import annotations

import importlib.util
import inspect
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.exports.format import ExportError

if TYPE_CHECKING:
    from nas.exports.subject import Subject

TIMEOUT_SECONDS = 900
SCRATCH = ".isolated-"
"""Begin of the name of a run's own folder in the bundle."""
Outputs = Callable[[Path, Any], tuple[Any, ...]]

IMPORT_BLOCKER = '''
from __future__ import annotations

import sys


class ImportBlocker:
    """Refuses imports of the project, which a bundle must do without."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {"nas", "search_space"}:
            raise ModuleNotFoundError(f"a bundle must do without {name}")
        return None


sys.meta_path.insert(0, ImportBlocker())

import importlib.util
import json
import time
from pathlib import Path

import numpy as np
'''

CALL = """
folder, pixels_file, outputs_file = map(Path, sys.argv[1:])
found, versions, *facts = outputs(folder, np.load(pixels_file, allow_pickle=False))
np.save(outputs_file, found)
print(json.dumps({"versions": {"python": sys.version.partition(" ")[0], **versions}, "facts": dict(*facts)}))
"""


@dataclass(frozen=True, eq=False)
class IsolatedRun:
    """Result of an isolated run.

    Attributes:
        outputs: outputs of the file.
        versions: versions of Python and of the libraries that it used; the keys are their names.
        facts: further facts that it returned, for `checks.json`.
    """

    outputs: NDArray[Any]
    versions: dict[str, str]
    facts: dict[str, Any]


def normalise(folder: Path, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return inputs (N, C, H, W) for pixels (N, C, H, W), normalised as the bundle's `preprocessing.json` says."""
    rule = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
    mean, std = (np.array(rule[key], dtype=np.float32)[:, None, None] for key in ("mean", "std"))
    images: NDArray[np.float32] = ((pixels.astype(np.float32) / 255 - mean) / std).astype(np.float32)
    return images


def in_batches(predict: Callable[[NDArray[Any]], Any], pixels: NDArray[Any]) -> tuple[NDArray[Any], dict[str, float]]:
    """Return outputs (N, classes) for batches of 1, 7, 64 and the rest, and the milliseconds of one image by itself.

    Args:
        predict: returns outputs (B, classes) for images (B, ...).
        pixels: (N, ...).
    """
    ends = [end for end in (1, 8, 72) if end < len(pixels)]
    found = np.concatenate([np.asarray(predict(part)) for part in np.split(pixels, ends)])
    times = []
    for _ in range(15):
        start = time.perf_counter()
        predict(pixels[:1])
        times.append(time.perf_counter() - start)
    return found, {"milliseconds": round(1000 * sorted(times)[len(times) // 2], 4)}


def load_program(folder: Path) -> Any:
    """Return the module `model.py` of a bundle."""
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    model = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(model)
    return model


def run_isolated(
    file: str, outputs: Outputs, folder: Path, pixels: NDArray[np.uint8], *, imports: Sequence[str] = ()
) -> IsolatedRun:
    """Call `outputs(folder, pixels)` in a Python process that can't import this project.

    Args:
        file: name of the file under test, for an error.
        outputs: a function of the name `outputs`. Only its own source text is run there; it returns an array and
            versions by library, and if it likes further facts, and may use `json`, `np`, `Path`, `sys`, `normalise`,
            `in_batches`, `load_program` and `imports`.
        folder: the bundle.
        pixels: (N, C, H, W).
        imports: modules that the process imports first, by dotted name.

    Raises:
        ExportError: the process failed or took more than `TIMEOUT_SECONDS`; the message has its last line.
    """
    lines = [f"import {module}" for module in imports]
    functions = [inspect.getsource(function) for function in (normalise, in_batches, load_program, outputs)]
    program = "\n".join([IMPORT_BLOCKER, *lines, *functions, CALL])
    with tempfile.TemporaryDirectory(
        prefix=SCRATCH, dir=folder.resolve()
    ) as scratch:  # goes with the bundle if this is killed
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
        said = json.loads(ran.stdout.strip().splitlines()[-1])
        return IsolatedRun(np.load(outputs_file, allow_pickle=False), said["versions"], said["facts"])


def compare_logits(ran: IsolatedRun, subject: Subject) -> dict[str, Any]:
    """Return the difference between the logits of a file and of the torch module, for `checks.json`.

    Args:
        ran: the isolated run on the subject's pixels, with outputs (N, classes).
        subject: the network.

    Returns:
        `max_difference` (see `relative_difference`), `argmax_agreement` and `val_accuracy` in [0, 1] on the number of
        `images`, the run's facts (`milliseconds` of one image by itself, where the format measures it), `versions`.

    Raises:
        ExportError: the shapes differ.
    """
    reference = subject.logits
    if ran.outputs.shape != reference.shape:
        raise ExportError(f"outputs must have the shape {reference.shape}, got {ran.outputs.shape}")
    classes = ran.outputs.argmax(axis=1)
    return {
        "max_difference": relative_difference(ran.outputs, reference),
        "argmax_agreement": float((classes == reference.argmax(axis=1)).mean()),
        "val_accuracy": float((classes == subject.labels).mean()),
        "images": len(reference),
        **ran.facts,
        "versions": ran.versions,
    }


def relative_difference(found: NDArray[Any], reference: NDArray[Any]) -> float:
    """Return the largest absolute difference, divided by the largest absolute value of `reference` if that exceeds 1.

    float32 is no more exact than that.

    >>> relative_difference(np.array([1.0, 30.0]), np.array([1.5, 32.0]))
    0.0625
    >>> relative_difference(np.array([0.5]), np.array([0.25]))
    0.25
    """
    return float(np.abs(found - reference).max() / max(1.0, float(np.abs(reference).max())))
