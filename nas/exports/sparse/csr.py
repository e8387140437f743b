"""Compressed sparse rows (CSR) of the weights of a network, as tensors under names of their own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

ROWS, COLUMNS, VALUES = PARTS = ("crow_indices", "col_indices", "values")
"""Ends of the names of a matrix' three tensors, which are torch's names of them."""
KEY = "sparse"
"""Key of a file's metadata: the shape of every weight that is stored sparsely, by its name."""

Arrays = Mapping[str, NDArray[Any]]
Shapes = Mapping[str, Sequence[int]]


def to_csr(state: Arrays) -> tuple[dict[str, NDArray[Any]], dict[str, list[int]]]:
    """Return the tensors of a file of sparse weights, and the shapes of the weights that are stored sparsely.

    A weight (outputs, ...) is the matrix (outputs, everything else). One that is not smaller so stays dense, and so
    does whatever has one dimension.
    """
    found: dict[str, NDArray[Any]] = {}
    shapes: dict[str, list[int]] = {}
    for name, tensor in state.items():
        parts = _parts(tensor) if tensor.ndim > 1 else {}
        if parts and sum(part.nbytes for part in parts.values()) < tensor.nbytes:
            found |= {f"{name}.{end}": part for end, part in parts.items()}
            shapes[name] = list(tensor.shape)
        else:
            found[name] = tensor
    return found, shapes


def _parts(tensor: NDArray[Any]) -> dict[str, NDArray[Any]]:
    matrix = csr_matrix(tensor.reshape(len(tensor), -1))
    narrow = np.int16 if matrix.shape[1] <= np.iinfo(np.int16).max else np.int32
    return {
        ROWS: matrix.indptr.astype(np.int32),
        COLUMNS: matrix.indices.astype(narrow),
        VALUES: np.asarray(matrix.data),
    }


def from_csr(tensors: Arrays, shapes: Shapes) -> dict[str, NDArray[Any]]:
    """Return the dense tensors of a file of sparse weights.

    Raises:
        ValueError: tensors that are not those of matrices of these shapes.
        KeyError: a tensor is missing.
    """
    inner = {f"{name}.{end}" for name in shapes for end in PARTS}
    found = {name: tensor for name, tensor in tensors.items() if name not in inner}
    for name, shape in shapes.items():
        rows, columns, values = (tensors[f"{name}.{end}"] for end in PARTS)
        size = (int(shape[0]), math.prod(map(int, shape[1:])))
        matrix = csr_matrix((values, columns.astype(np.int32), rows), shape=size)
        matrix.check_format(full_check=True)
        found[name] = np.asarray(matrix.toarray()).reshape(tuple(map(int, shape)))
    return found
