"""Tests of trainings on streamed images: curves as with images in memory, and failures that stop a search."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine import ONE
from PIL import Image

from nas.cli import main
from nas.config.training import Recipe
from nas.data import DataSpec
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Epoch, Job, Outcome
from nas.study.summary import open_for_reading
from search_space.graph import Shape
from search_space.space import parse_space

RECIPE = Recipe(epochs=3, batch_size=8)
DECODED_ANEW: dict[str, Any] = {"streaming": "always", "decode_workers": 2, "cache_gib": 0.0}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Write JPEGs of two classes, one redder than the other."""
    noise = np.random.default_rng(0)
    for name, red in (("cat", 150), ("dog", 50)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(30):
            pixels = noise.integers(0, 100, (4, 4, 3), dtype=np.uint8)
            pixels[..., 0] += np.uint8(red)
            picture = Image.fromarray(pixels).resize((40 + number % 5, 36), Image.Resampling.BICUBIC)
            picture.save(tmp_path / "photos" / name / f"{number:03}.jpg")
    return tmp_path / "photos"


@pytest.fixture
def spec(photos: Path) -> DataSpec:
    return DataSpec("photos", "image_folder", str(photos), resolution=8, flip=True, crop_padding=1, streaming="never")


@dataclass
class Watcher:
    """Control that keeps the rows, and damages a file after one of them."""

    in_step = True

    stop_after: int = 99
    harm_after: int = 99
    file: Path | None = None
    rows: list[Epoch] = field(default_factory=list)

    def epoch_done(self, row: Epoch) -> None:
        self.rows.append(row)
        if self.file is not None and row.epoch == self.harm_after:
            stat = self.file.stat()
            os.truncate(self.file, stat.st_size // 3)
            os.utime(self.file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    def should_stop(self) -> bool:
        return self.rows[-1].epoch >= self.stop_after


def job(folder: Path, start: Outcome | None = None) -> Job:
    architecture = parse_space(ONE, Shape(3, 8, 8), 2).draw(random.Random(0)).to_json()
    if start is None:
        return Job(0, 1, architecture, 5, 0, RECIPE.epochs, folder)
    return Job(0, 2, architecture, 5, start.epoch, RECIPE.epochs, folder, start.checkpoint)


def scores(outcome: Outcome) -> list[Epoch]:
    assert outcome.failure is None, outcome.failure
    return [replace(row, seconds=0.0) for row in outcome.curve]


def test_curves_are_those_of_a_set_held_in_memory_also_after_a_stop(spec: DataSpec, tmp_path: Path) -> None:
    held = TrialRunner(spec, RECIPE, 1, "cpu")(job(tmp_path / "held"), Watcher())
    assert len(scores(held)) == 3
    for name, how in (("read", {"streaming": "always", "decode_workers": 2}), ("anew", DECODED_ANEW)):
        runner = TrialRunner(replace(spec, cache=str(tmp_path / name), **how), RECIPE, 1, "cpu")
        stopped = runner(job(tmp_path / f"trial-{name}"), Watcher(stop_after=1))
        assert stopped.epoch == 1
        thawed = runner(job(tmp_path / f"trial-{name}", stopped), Watcher())
        assert scores(thawed) == scores(held)


def test_a_picture_cut_short_in_mid_search_is_a_failure_of_the_data(
    spec: DataSpec, photos: Path, tmp_path: Path
) -> None:
    runner = TrialRunner(replace(spec, val_fraction=0.01, test_fraction=0.0, **DECODED_ANEW), RECIPE, 1, "cpu")
    for number in range(2):  # one of them is trained on, as one validates
        file = photos / "cat" / f"{number:03}.jpg"
        outcome = runner(job(tmp_path / f"trial{number}"), Watcher(harm_after=1, file=file))
        assert outcome.failure is not None
        assert outcome.failure.kind == "data"
        assert f"cat/{number:03}.jpg" in outcome.failure.message
        assert len(outcome.curve) == 1
        assert outcome.checkpoint is not None
        # The next trial meets it when the set is looked at anew.
        again = runner(job(tmp_path / "other"), Watcher())
        assert again.failure is not None
        assert (again.failure.kind, again.curve) == ("data", ())
        Image.new("RGB", (40, 36), (200, number, 0)).save(file)


@pytest.mark.slow
def test_a_search_its_retraining_and_its_export_on_a_set_that_is_never_held(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        *("data=image_folder", f"data.path={photos}", "data.resolution=8", "training.epochs=2", "workers.slots=2"),
        *("fidelity=full", "tracking=none", "budget.trials=2", "workers.keep=all", "training.batch_size=8"),
    ]
    anew = ["data.streaming=always", "data.cache_gib=0", f"data.cache={tmp_path / 'own'}"]
    assert main(["search", f"study={tmp_path / 'held'}", *words]) == 0
    assert "; held\n" in capsys.readouterr().err
    study = tmp_path / "streamed"
    assert main(["search", f"study={study}", *words, *anew]) == 0
    assert "; streamed (data.streaming=always), decoded anew in every epoch" in capsys.readouterr().err
    assert not list((tmp_path / "own").rglob("*_images.npy"))
    curves = [curves_of(tmp_path / name) for name in ("held", "streamed")]
    assert curves[0] == curves[1]
    assert len(curves[0]) == 2
    # How images are read is no part of a study: it goes on, and is taken up, either way.
    assert main(["search", f"study={tmp_path / 'held'}", *words, *anew, "budget.trials=3"]) == 0
    assert main(["retrain", f"study={study}", "pick=best", "seeds=1"]) == 0
    capsys.readouterr()
    assert main(["export", f"study={study}", "pick=best", "formats=[safetensors,source]", "format=json"]) == 0
    (exported,) = json.loads(capsys.readouterr().out)["exported"]
    assert exported["checks"]["model.py"]["argmax_agreement"] == 1.0


def curves_of(folder: Path) -> dict[str, list[Epoch]]:
    records = open_for_reading(folder).records
    return {record.candidate.network_id: [replace(row, seconds=0.0) for row in record.curve] for record in records}
