"""Format `weights.safetensors`: every tensor of the network's state dict, under its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from nas.exports.isolation import relative_difference, run_isolated

if TYPE_CHECKING:  # the check runs in another process, which imports these
    import safetensors.numpy

    from nas.exports.subject import Subject


@final
class WeightsFormat:
    """Safetensors format, with architecture and class names in the file's metadata."""

    file = "weights.safetensors"
    needs = ()

    def unavailable(self) -> str | None:
        """Return None: it can always be written."""
        return None

    def write(self, subject: Subject, folder: Path) -> None:
        """Write the tensors unchanged."""
        state = {name: tensor.detach().contiguous().numpy() for name, tensor in subject.network.state_dict().items()}
        described = {"architecture": dict(subject.architecture), "classes": subject.preprocessing["classes"]}
        metadata = {"format": "pt", **{name: json.dumps(value) for name, value in described.items()}}
        (folder / self.file).write_bytes(save(state, metadata=metadata))

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Compare every number with the module's own."""
        ran = run_isolated(self.file, outputs, folder, subject.pixels[:1], imports=["safetensors.numpy"])
        state = subject.network.state_dict()
        expected = np.concatenate([state[name].numpy().astype(np.float64).ravel() for name in sorted(state)])
        same = ran.outputs.shape == expected.shape
        return {
            "max_difference": relative_difference(ran.outputs, expected) if same else float("inf"),
            "numbers": len(expected),
            "versions": ran.versions,
        }


def outputs(folder: Path, _: NDArray[np.uint8]) -> tuple[NDArray[np.float64], dict[str, str]]:
    """Return all numbers in the file, in alphabetical order of the tensors' names."""
    tensors = safetensors.numpy.load_file(folder / "weights.safetensors")
    numbers = np.concatenate([tensors[name].astype(np.float64).ravel() for name in sorted(tensors)])
    return numbers, {"safetensors": safetensors.__version__}


FORMAT = WeightsFormat()
