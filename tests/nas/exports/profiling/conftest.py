"""Lock of the devices for tests of measurements."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_lock(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let each measurement have a lock of its own: executors of earlier tests may still hold that of the run."""
    folder = tmp_path_factory.mktemp("lock")
    monkeypatch.setenv("NAS_LOCK_DIR", str(folder))
    return folder
