"""What several rooms' tests share lies in `support`, importable by name here and in child processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent / "support"))


os.environ.pop("COLUMNS", None)  # how wide a pipe's table is must not depend on who started the tests


@pytest.fixture(scope="session", autouse=True)
def devices(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no other process on this machine be waited for: each run of tests has a lock of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_LOCK_DIR", str(tmp_path_factory.mktemp("lock")))
        yield


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system of its own with these options, such as `size=4m`, where that is allowed."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        folder = tmp_path / "mounted"
        folder.mkdir()
        asked = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(asked, capture_output=True, check=False).returncode != 0:
            pytest.skip("mounting a file system is not allowed here")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what `few(n)` leaves out: all variants of a test but n of them, spread evenly over their order."""
    variants: dict[tuple[object, int], list[pytest.Item]] = {}
    for item in items:
        few = item.get_closest_marker("few")
        if few and not item.get_closest_marker("slow"):
            variants.setdefault((getattr(item, "function", item), few.args[0]), []).append(item)
    for (_, count), found in variants.items():
        kept = {place * len(found) // count for place in range(count)}
        for place, item in enumerate(found):
            if place not in kept:
                item.add_marker("slow")


settings.register_profile("ci", derandomize=True)  # a push fails for what it changed, not for what was drawn
if os.environ.get("CI"):
    settings.load_profile("ci")
