"""Runs the comparison with torchvision and timm where their environment is there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-oracles" / "bin" / "python"


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="no .venv-oracles: tests/oracles/published.py says how to make it")
def test_our_published_networks_give_the_published_logits() -> None:
    run = subprocess.run(
        [PYTHON, ROOT / "tests" / "oracles" / "published.py"], capture_output=True, text=True, timeout=280, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("ok") == 15
