"""The notebook of the documentation, executed anew."""

from __future__ import annotations

import copy
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbclient", reason="needs the dev extra")
from notebook import NOTEBOOK, execute, kinds, read

LARGEST = 400_000
"""Most bytes of the file, outputs included."""


def shown(notebook: Any) -> list[list[str]]:
    """Return the kinds of the outputs; several lines of a search's progress are one."""
    return [[kind for kind, _ in groupby(found)] for found in kinds(notebook)]


def test_the_notebook_runs_and_its_outputs_are_of_the_kinds_that_are_stored(tmp_path: Path) -> None:
    stored = read()
    executed = execute(copy.deepcopy(stored), tmp_path)
    assert shown(executed) == shown(stored)
    assert all(kind not in ("stderr", "error") for found in kinds(stored) for kind in found)


def test_the_stored_outputs_are_whole_small_and_of_no_machine() -> None:
    stored = read()
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    found = {kind for outputs in kinds(stored) for kind in outputs}
    assert {"image/png,text/plain", "image/svg+xml,text/plain", "text/html,text/plain", "stdout"} <= found
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < LARGEST
    assert not any(place in text for place in ("/home/", "/tmp/", "/root/", "/work/"))
