"""Small study of a real search, and the commands on it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from nas.cli import main


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Search a small study on the digits and yield its folder; copy it before changing it."""
    root = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE_DIR", str(root / "cache"))
        words = ["fidelity=full", "budget.trials=3", "training.epochs=2", "workers.keep=all", "tracking=none"]
        assert main(["search", f"study={root / 'digits'}", *words]) == 0
        yield root / "digits"


@dataclass
class Commands:
    """Runner of `nas` commands in this process.

    Attributes:
        study: folder of the test's own study.
        capture: pytest's `capfd`.
    """

    study: Path
    capture: Any

    def __call__(self, name: str, *words: str) -> tuple[int, str, str]:
        """Return exit code, standard output and standard error of `nas NAME study=... WORDS`."""
        self.capture.readouterr()
        code = main([name, f"study={self.study}", *words])
        out, err = self.capture.readouterr()
        return code, out, err

    def json(self, name: str, *words: str) -> Any:
        code, out, err = self(name, *words, "format=json")
        assert code == 0, err
        return json.loads(out)


@pytest.fixture
def nas(searched: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Commands:
    shutil.copytree(searched, tmp_path / "digits")
    return Commands(tmp_path / "digits", capfd)


@pytest.fixture
def commands(capfd: pytest.CaptureFixture[str]) -> Callable[[Path], Commands]:
    return lambda study: Commands(study, capfd)
