"""A toy plug-in of every kind: one Python file and one YAML file in a folder outside the project.

Each is added, used in a search of two trials (an export format in an export), and removed again. All searches run on
the toy executor, which trains in this process.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nas.cli import main
from search_space.plugins import TRUSTED

EXECUTOR = """
from nas.jobs import Outcome

class Handle:
    def __init__(self, job, on_epoch):
        self.job, self.on_epoch, self.stopping = job, on_epoch, False
    def stop_after_epoch(self):
        self.stopping = True
    def kill(self):
        pass
    def epoch_done(self, row):
        self.on_epoch(self.job, row)
    def should_stop(self):
        return self.stopping

class Inline:
    slots = 1
    def __init__(self, runner):
        self.runner, self.handles, self.trained = runner, [], 0
    def submit(self, job, on_epoch):
        self.handles.append(Handle(job, on_epoch))
        return self.handles[-1]
    def wait(self, timeout):
        done, self.handles = self.handles, []
        self.trained += len(done)
        return [self.runner(handle.job, handle) for handle in done]
    def close(self):
        self.handles = []

MADE = []

def make(runner, workers):
    MADE.append(Inline(runner))
    return MADE[-1]
"""
BLOCK = """
from dataclasses import dataclass
from search_space.blocks import BlockFields, family_of, width

@dataclass(frozen=True, slots=True)
class Wide(BlockFields):
    NAME = "toy_block.FAMILY"
    first: int = width()

    def lower(self, channels, units, name):
        return units.conv(self.first, 3, name=name)

FAMILY = family_of(Wide)
"""
COST = """
from nas.objectives.costs import Cost

def stages(network):
    return float(sum(len(stage.blocks) for stage in network.architecture.stages) + 1)

COST = Cost("toy_blocks", "blocks", stages, unit="pieces")
"""
OBJECTIVE = """
def gap(curve, costs):
    return curve[-1].val_loss - curve[-1].train_loss
"""
SAMPLER = """
from functools import partial
from optuna.samplers import RandomSampler

ASKED = []

def make(domain, width: int = 0):
    return partial(sampler, width)

def sampler(width, seed):
    ASKED.append(width)
    return RandomSampler(seed)
"""
FIDELITY = """
from nas.fidelity.full import Full

DECIDED = []

class Counted(Full):
    def decide(self, standing):
        DECIDED.append(len(standing.records))
        return super().decide(standing)

def make(horizon):
    return Counted(horizon.epochs)
"""
DATA = """
import io
from contextlib import contextmanager
import numpy as np
from PIL import Image
from nas.data.decode import Entry
from nas.data.readers import Source, SourcePart

def encoded(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()

@contextmanager
def open_source(spec, classes: int = 2):
    rng = np.random.default_rng(0)
    labels = np.arange(60 * classes) % classes
    pictures = [Entry("toy", encoded(rng.integers(0, 255, (8, 8), dtype=np.uint8))) for _ in labels]
    yield Source(tuple(f"c{i}" for i in range(classes)), SourcePart(labels.astype(np.int64), pictures, "toy"), None)
"""
AUGMENTATION = """
from torch import nn

SEEN = []

class Darker(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor
    def forward(self, images):
        SEEN.append((self.factor, tuple(images.shape[1:])))
        return images * self.factor

def make(shape, *, factor: float = 1.0):
    return Darker(factor)
"""
TRACKER = """
TOLD = []

class Noting:
    def on_progress(self, progress):
        pass
    def on_trial(self, record, progress):
        TOLD.append(record.number)
    def on_end(self, progress, reason):
        TOLD.append(str(reason))
    def close(self):
        TOLD.append("closed")
    def __enter__(self):
        return self
    def __exit__(self, *_):
        self.close()

def make(spec, study, circumstances):
    return Noting()
"""
FORMAT = """
class Sizes:
    file = "sizes.txt"
    needs = ("safetensors",)
    def unavailable(self):
        return None
    def write(self, subject, folder):
        (folder / self.file).write_text("sizes")
    def check(self, subject, folder):
        assert (folder / self.file).read_text() == "sizes"
        return {"max_difference": 0.0}

FORMAT = Sizes()
"""
SPACE = """
name: toy
stem: {width: [4, 8]}
stages:
  - {depth: 1, block: {family: toy_block.FAMILY, first: [4, 8, 12, 16]}}
"""
EXECUTOR_FILES = {"toy_executor.py": EXECUTOR, "workers/toy_executor.yaml": "name: toy_executor.make\nslots: 1\n"}
Module = ModuleType


@dataclass(frozen=True)
class Toy:
    """A plug-in outside the project.

    Attributes:
        files: its Python file and its YAML file, by path in the folder.
        words: overrides that use it.
        used: whether it was used, from its module and the front's document.
        refused: what the error says once it is gone.
    """

    files: dict[str, str]
    words: tuple[str, ...]
    used: Callable[[Any, dict[str, Any]], bool]
    refused: str

    @property
    def module(self) -> str:
        return next(iter(self.files)).removesuffix(".py")


def objective(name: str, source: str, key: str, more: str = "") -> str:
    head = f"# @package objective.{name}\nname: {name}\nsource: {source}\nkey: '{key}'\ndirection: minimize\n"
    return head + more


def families(front: dict[str, Any]) -> set[str]:
    return {
        block["family"]
        for item in front["front"]
        for stage in item["architecture"]["stages"]
        for block in stage["blocks"]
    }


TOYS = {
    "block": Toy(
        {"toy_block.py": BLOCK, "space/toy.yaml": SPACE},
        ("space=toy",),
        lambda module, front: families(front) == {"toy_block.FAMILY"},
        "space must be one of",
    ),
    "cost": Toy(
        {"toy_cost.py": COST, "objective/toy_blocks.yaml": objective("toy_blocks", "cost", "toy_cost.COST")},
        ("objective=[val_accuracy,toy_blocks]", "limits.max_toy_blocks=4"),
        lambda module, front: all(0 < item["costs"]["toy_blocks"] <= 4 for item in front["front"]),
        "objective must be one of",
    ),
    "objective": Toy(
        {
            "toy_objective.py": OBJECTIVE,
            "objective/gap.yaml": objective("gap", "toy_objective.gap", "", "best: -5\nworst: 5\n"),
        },
        ("objective=[val_accuracy,macs,gap]",),
        lambda module, front: all(abs(item["values"]["gap"]) < 5 for item in front["front"]),
        "objective must be one of",
    ),
    "sampler": Toy(
        {"toy_sampler.py": SAMPLER, "sampler/toy.yaml": "name: toy\nmodule: toy_sampler.make\noptions: {width: 7}\n"},
        ("sampler=toy",),
        lambda module, front: len(module.ASKED) >= 2 and set(module.ASKED) == {7},
        "sampler must be one of",
    ),
    "fidelity": Toy(
        {"toy_fidelity.py": FIDELITY, "fidelity/toy.yaml": "name: toy_fidelity.make\noptions: {}\n"},
        ("fidelity=toy",),
        lambda module, front: len(module.DECIDED) >= 2,
        "fidelity must be one of",
    ),
    "data source": Toy(
        {"toy_data.py": DATA, "data/toy.yaml": "name: toy\nsource: toy_data.open_source\noptions: {classes: 3}\n"},
        ("data=toy", "data.train_fraction=1"),
        lambda module, front: all(item["architecture"]["classes"] == 3 for item in front["front"]),
        "data must be one of",
    ),
    "augmentation": Toy(
        {
            "toy_augmentation.py": AUGMENTATION,
            "augmentation/toy.yaml": "# @package training.augmentation.toy\nname: toy\n"
            "module: toy_augmentation.make\noptions: {factor: 0.5}\n",
        },
        ("augmentation=[flip,toy]",),
        lambda module, front: len(module.SEEN) >= 2 and set(module.SEEN) == {(0.5, (1, 8, 8))},
        "augmentation must be one of",
    ),
    "tracker": Toy(
        {"toy_tracker.py": TRACKER, "tracking/toy.yaml": "name: toy_tracker.make\n"},
        ("tracking=toy",),
        lambda module, front: module.TOLD == [0, 1, "budget", "closed"],
        "tracking must be one of",
    ),
    "executor": Toy(
        EXECUTOR_FILES,
        (),
        lambda module, front: module.MADE[-1].trained == 2,
        "workers must be one of",
    ),
}


@pytest.fixture
def folder(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of plug-ins, with the executor in it; what was imported from it is forgotten after the test."""
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache-of-plugins"))
    monkeypatch.setenv(TRUSTED, "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    add(tmp_path / "own", EXECUTOR_FILES)
    yield tmp_path / "own"
    forget()


OWN = {*(toy.module for toy in TOYS.values()), "toy_executor", "toy_format"}


def add(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def remove(folder: Path, files: dict[str, str]) -> None:
    for name in files:
        (folder / name).unlink()
    forget()


def forget() -> None:
    for name in OWN & sys.modules.keys():
        del sys.modules[name]


def search(folder: Path, *words: str) -> list[str]:
    usual = ("budget.trials=2", "training.epochs=1", "data.train_fraction=0.1", "tracking=none", "workers=toy_executor")
    return ["search", "--config-dir", str(folder), "study=toys", "sampler=random", "fidelity=full", *usual, *words]


@pytest.mark.few(9)
@pytest.mark.parametrize("kind", TOYS)
def test_a_plug_in_from_outside_is_added_used_and_removed(
    kind: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toy = TOYS[kind]
    add(folder, toy.files)
    assert len(toy.files) == 2
    assert main(search(folder, *toy.words, "format=json")) == 0, capsys.readouterr().err
    front = json.loads(capsys.readouterr().out)
    assert front["front"]
    assert toy.used(sys.modules[toy.module], front)
    assert main(["report", "--config-dir", str(folder), "study=toys"]) == 0
    assert (Path("outputs") / "toys" / "report.html").stat().st_size > 10_000
    remove(folder, toy.files)
    capsys.readouterr()
    assert main(search(folder, *toy.words, "study=others")) == 2
    error = capsys.readouterr().err
    assert toy.refused in error
    assert error.count("\n") == 1


def test_an_export_format_from_outside_is_added_used_and_removed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(search(folder)) == 0
    export = [
        "export",
        "--config-dir",
        str(folder),
        "study=toys",
        "pick=best",
        "formats=[safetensors,toy_format.FORMAT]",
    ]
    add(folder, {"toy_format.py": FORMAT})
    assert main(export) == 0, capsys.readouterr().err
    (bundle,) = (Path("outputs") / "toys" / "export").iterdir()
    assert (bundle / "sizes.txt").read_text() == "sizes"
    remove(folder, {"toy_format.py": FORMAT})
    capsys.readouterr()
    assert main(export) == 2
    assert "toy_format" in capsys.readouterr().err


def test_a_study_that_names_code_from_outside_is_not_trusted_by_itself(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(folder, TOYS["block"].files)
    assert main(search(folder, "space=toy")) == 0
    assert main(["export", "--config-dir", str(folder), "study=toys", "pick=best", "formats=[safetensors]"]) == 0
    forget()
    sys.path.remove(str(folder))
    os.environ[TRUSTED] = ""
    capsys.readouterr()
    assert main(["export", "study=toys", "pick=best", "formats=[safetensors]", "output=elsewhere"]) == 2
    assert f"set {TRUSTED}=toy_block in the environment" in capsys.readouterr().err
    assert not Path("elsewhere").exists()
