"""Experiments of conf/experiment: each composes and is explained, and the small ones search."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.cli import main
from nas.cli.app.compose import compose, conf_dir
from nas.config.commands import ROOTS

NAMES = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml"))
TABLES = ("table_", "surrogate_")
SMALL = ("budget.trials=1", "budget.minutes=null", "budget.trainings=null", "training.epochs=1", "workers.slots=1")
PLACES = ("data.path=somewhere", "training.weights=weights.safetensors")


def test_every_experiment_is_on_the_page() -> None:
    page = (conf_dir().parent / "docs" / "experiments.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_composes(name: str) -> None:
    command = "tabulate" if name.startswith(TABLES) else "search"
    own = "override /data: " in (conf_dir() / "experiment" / f"{name}.yaml").read_text(encoding="utf-8")
    places = [] if not own or name.endswith("digits") else list(PLACES[: 2 if name == "fine_tune" else 1])
    composed = compose(command, [f"experiment={name}", *places])
    assert type(composed) is ROOTS[command]
    assert composed != compose(command, []), "an experiment must change something"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of 36 small pictures in two classes."""
    noise = np.random.default_rng(0)
    for name, level in (("dark", 40), ("light", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(18):
            pixels = np.clip(noise.normal(level, 20, (12, 12, 3)), 0, 255).astype(np.uint8)  # (H, W, C)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


@pytest.mark.parametrize("name", ["quick_start", "own_folder", "groups"])
def test_a_small_experiment_searches(
    name: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    own = (f"data.path={photos}",) if name == "own_folder" else ()
    words = ["search", f"experiment={name}", "study=s", "tracking=none", "format=json", *SMALL, *own]
    assert main(words) == 0, capsys.readouterr().err
    assert len(json.loads(capsys.readouterr().out)["front"]) == 1
