"""`weights.safetensors`: every tensor of the network's state, under its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file

from nas.exports import Subject
from nas.exports.outside import difference, run_outside


@final
class Weights:
    """The tensors, and the architecture in the file's metadata."""

    file = "weights.safetensors"
    needs = ()

    def unavailable(self) -> str | None:
        """It can always be written."""
        return None

    def write(self, subject: Subject, folder: Path) -> None:
        """Write the tensors as they are."""
        state = {name: tensor.detach().contiguous() for name, tensor in subject.network.state_dict().items()}
        metadata = {"format": "pt", "architecture": json.dumps(dict(subject.architecture))}
        save_file(state, folder / self.file, metadata=metadata)

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Every number must be the module's own."""
        ran = run_outside(self.file, outputs, folder, subject.pixels[:1])
        state = subject.network.state_dict()
        expected = np.concatenate([state[name].numpy().astype(np.float64).ravel() for name in sorted(state)])
        same = ran.outputs.shape == expected.shape
        return {
            "max_difference": difference(ran.outputs, expected) if same else float("inf"),
            "numbers": len(expected),
            "versions": ran.versions,
        }


def outputs(folder: Path, _: NDArray[np.uint8]) -> tuple[NDArray[np.float64], dict[str, str]]:
    """All numbers in the file, in order of the tensors' names."""
    import safetensors  # noqa: PLC0415 - this function's text runs elsewhere
    from safetensors.numpy import load_file  # noqa: PLC0415 - as above

    tensors = load_file(folder / "weights.safetensors")
    numbers = np.concatenate([tensors[name].astype(np.float64).ravel() for name in sorted(tensors)])
    return numbers, {"safetensors": safetensors.__version__}


FORMAT = Weights()
