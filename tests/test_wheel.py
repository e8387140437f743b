"""What a person gets from `pip install`: both packages, the configuration inside, and a command that works anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="the build backend is a development dependency")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_wheel_holds_both_packages_and_every_configuration_file(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"nas/conf/{path.relative_to(ROOT / 'conf')}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert shipped <= names
    assert len(shipped) > 20
    assert {"nas/py.typed", "search_space/py.typed", "search_space/graph.py", "nas/search/driver.py"} <= names
    assert not [name for name in names if name.startswith(("tests/", "outputs/", "benchmarks/", "docs/"))]


def test_installed_wheel_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "site", tmp_path / "elsewhere"
    elsewhere.mkdir()
    zipfile.ZipFile(wheel).extractall(target)
    script = (
        "import sys; from nas.cli import main; import nas; from nas.cli.app.compose import conf_dir;"
        "print(nas.__file__, conf_dir(), file=sys.stderr);"
        "sys.exit(main(['describe', 'space=quick', 'samples=10', 'format=json']))"
    )
    environment = {**os.environ, "PYTHONPATH": str(target), "NAS_CACHE_DIR": str(tmp_path / "cache")}
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert f"{target}/nas/__init__.py {target}/nas/conf" in run.stderr
    assert json.loads(run.stdout)["name"] == "quick"
    assert list(elsewhere.iterdir()) == []
