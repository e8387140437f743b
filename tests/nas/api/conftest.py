"""A small real study, searched once by the Python interface, for all tests of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from bars import SETTINGS, bars

from nas import Study, search


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Study:
    outputs = tmp_path_factory.mktemp("searched")
    found, test = bars(120), bars(30, seed=1)
    return search(
        found.images, found.labels, test=(test.images, test.labels),
        study="bars", outputs=outputs, budget={"trials": 6}, **SETTINGS,
    )  # fmt: skip


@pytest.fixture
def study(searched: Study) -> Study:
    return Study(searched.folder)


@pytest.fixture
def folder(searched: Study) -> Path:
    return searched.folder
