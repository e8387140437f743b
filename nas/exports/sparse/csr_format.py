"""Format `weights.sparse.safetensors`: weights of a pruned network in compressed sparse rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from nas.exports.format import ExportError
from nas.exports.isolation import in_batches, load_program, normalise, relative_difference, run_isolated
from nas.exports.sparse.csr import KEY, to_csr

if TYPE_CHECKING:  # the check runs in another process, which imports these
    import math

    import safetensors
    import torch

    from nas.exports.sparse.pruner import PrunedNetwork
    from nas.exports.subject import Subject

IMPORTS = ("math", "safetensors", "torch")


@final
class SparseFormat:
    """Sparse format: what `PruningSpec` leaves of a network's weights; all other tensors as they are.

    The network of the file is not quite the bundle's: `checks.json` says what accuracy it has kept.
    """

    file = "weights.sparse.safetensors"
    needs = ("source",)
    on_request = True
    """It is written only if it is asked for by name, as a training comes before it."""

    def unavailable(self) -> str | None:
        """Return None: it can always be written."""
        return None

    def write(self, subject: Subject, folder: Path) -> None:
        """Write the matrices and the other tensors."""
        state = {name: tensor.detach() for name, tensor in _pruned(subject).network.state_dict().items()}
        tensors, shapes = to_csr({name: tensor.contiguous().numpy() for name, tensor in state.items()})
        described = {KEY: shapes, "architecture": dict(subject.architecture)}
        described["classes"] = subject.preprocessing["classes"]
        metadata = {"format": "pt", **{name: json.dumps(value) for name, value in described.items()}}
        (folder / self.file).write_bytes(save(tensors, metadata=metadata))

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Compare the logits with those of the pruned network, and its classes with the network's before."""
        pruned = _pruned(subject)
        ran = run_isolated(self.file, outputs, folder, subject.pixels, imports=IMPORTS)
        expected = pruned.logits(subject.pixels, subject.preprocessing)
        if ran.outputs.shape != expected.shape:
            raise ExportError(f"outputs must have the shape {expected.shape}, got {ran.outputs.shape}")
        classes = ran.outputs.argmax(axis=1)
        return {
            "max_difference": relative_difference(ran.outputs, expected),
            "argmax_agreement": float((classes == subject.logits.argmax(axis=1)).mean()),
            "val_accuracy": float((classes == subject.labels).mean()),
            "images": len(expected),
            "pruning": {**pruned.facts, "dense_bytes": (folder / "weights.safetensors").stat().st_size},
            **ran.facts,
            "versions": ran.versions,
        }


def _pruned(subject: Subject) -> PrunedNetwork:
    if subject.pruned is None:
        raise ExportError("weights.sparse.safetensors is of a network of a study: nas export study=S formats=[sparse]")
    return subject.pruned


def outputs(folder: Path, pixels: NDArray[np.uint8]) -> tuple[NDArray[np.float32], dict[str, str], dict[str, float]]:
    """Return logits (N, classes) of `model.py` with the sparse weights."""
    model = load_program(folder)
    with safetensors.safe_open(folder / "weights.sparse.safetensors", "pt") as file:
        shapes = json.loads(file.metadata()["sparse"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    for name, shape in shapes.items():
        rows, columns, values = (tensors.pop(f"{name}.{part}") for part in ("crow_indices", "col_indices", "values"))
        size = (shape[0], math.prod(shape[1:]))
        matrix = torch.sparse_csr_tensor(rows, columns.to(rows.dtype), values, size, check_invariants=True)
        tensors[name] = matrix.to_dense().reshape(shape)
    network = model.Network()
    network.load_state_dict(tensors)
    network.eval()
    with torch.inference_mode():
        logits, speed = in_batches(lambda images: network(torch.from_numpy(images)), normalise(folder, pixels))
    return logits, {"torch": torch.__version__, "safetensors": safetensors.__version__}, speed


FORMAT = SparseFormat()
