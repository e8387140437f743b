"""Execution of the notebook of the documentation; `python tests/support/notebook.py` stores the outputs in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
SECONDS = 120
"""Longest a cell may run."""


def read(path: Path = NOTEBOOK) -> Any:
    """Return a notebook."""
    return nbformat.read(path, as_version=4)


def execute(notebook: Any, folder: Path) -> Any:
    """Return the notebook as it is after all cells were executed in a new kernel, in `folder`.

    Raises:
        CellExecutionError: a cell raised an exception.
    """
    place = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=SECONDS, record_timing=False, resources=place)
    return client.execute(env={**os.environ, "PYTHONWARNINGS": "ignore:IProgress not found"})  # needs no widgets


def kinds(notebook: Any) -> list[list[str]]:
    """Return for each code cell the kinds of its outputs: MIME types, or names of streams."""
    return [[_kind(output) for output in cell.outputs] for cell in notebook.cells if cell.cell_type == "code"]


def _kind(output: Any) -> str:
    if output.output_type == "stream":
        return str(output.name)
    return ",".join(sorted(output.get("data", {output.output_type: ""})))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(execute(read(), Path(folder)), NOTEBOOK)
