"""`--config-dir FOLDER`: plug-ins of a user's own, one Python module and one YAML each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nas.cli import main
from nas.cli.app.plugin_folder import add_plugin_folder
from nas.study.study import open_study
from search_space.plugins import TRUSTED, is_trusted

SAMPLER = """
from optuna.samplers import RandomSampler

SEEDS = []


def make(domain):
    def sampler(seed):
        SEEDS.append(seed)
        return RandomSampler(seed)

    return sampler
"""
FAMILY = """
from dataclasses import dataclass

from search_space.blocks import BlockFields, Units, family_of, width
from search_space.graph import Node, Seq


@dataclass(frozen=True, slots=True)
class Bottleneck(BlockFields):
    reduce: int = width()
    out: int = width()

    def lower(self, channels: int, units: Units, name: str) -> Node:
        return Seq((units.conv(self.reduce, 1, name="reduce"), units.conv(self.out, 3, name="conv")), name=name)


BOTTLENECK = family_of(Bottleneck)
"""
SPACE = """
name: toy
stem: {width: 4}
stages:
  - {depth: 1, block: {family: toy_blocks.BOTTLENECK, reduce: [4, 8], out: [8, 16]}}
"""
QUICK = ["tracking=none", "workers.slots=1", "training.epochs=1", "budget.trials=2", "format=json"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with a toy sampler, and restore the path and the trusted modules of the process afterwards."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv(TRUSTED, "")
    monkeypatch.delitem(sys.modules, "toy_draws", raising=False)
    own = tmp_path / "own"
    (own / "sampler").mkdir(parents=True)
    (own / "toy_draws.py").write_text(SAMPLER, encoding="utf-8")
    (own / "sampler" / "toy.yaml").write_text("name: toy\nmodule: toy_draws.make\n", encoding="utf-8")
    return own


def test_a_sampler_of_ones_own_is_one_module_and_one_file(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"outputs={tmp_path}", "study=mine", "sampler=toy", f"--config-dir={folder}", *QUICK]
    assert main(["search", *words]) == 0
    assert json.loads(capsys.readouterr().out)["study"] == "mine"
    assert [record.state for record in open_study(tmp_path / "mine").records()] == ["complete"] * 2
    assert len(sys.modules["toy_draws"].SEEDS) >= 2
    assert is_trusted("toy_draws")


def test_without_its_folder_it_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "sampler=random", "sampler.optuna_class=null", "sampler.module=toy_draws.make", *QUICK]) == 2
    assert "sampler.module must be importable, got 'toy_draws.make'" in capsys.readouterr().err


def test_the_folder_is_searched_last(folder: Path) -> None:
    add_plugin_folder(folder)
    add_plugin_folder(folder)
    assert sys.path.count(str(folder)) == 1
    assert sys.path[-1] == str(folder)


def test_only_modules_that_are_found_there_are_trusted(folder: Path) -> None:
    (folder / "json.py").write_text("", encoding="utf-8")  # Python finds its own
    (folder / "nas.py").write_text("", encoding="utf-8")
    (folder / "toy_package").mkdir()
    (folder / "toy_package" / "__init__.py").write_text("", encoding="utf-8")
    for name in ("not-a-name", "__main__"):
        (folder / f"{name}.py").write_text("", encoding="utf-8")
    add_plugin_folder(folder)
    assert is_trusted("toy_draws")
    assert is_trusted("toy_package.inner")
    assert not any(is_trusted(name) for name in ("json", "nas", "not-a-name", "sampler"))


def test_child_processes_find_and_trust_them(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing, sys\nfrom pathlib import Path\n"
        "from nas.cli.app.plugin_folder import add_plugin_folder\n"
        "from search_space.plugins import load_dotted\n\n"
        "if __name__ == '__main__':\n"
        "    add_plugin_folder(Path(sys.argv[1]))\n"
        "    with multiprocessing.get_context('forkserver').Pool(1) as pool:\n"
        "        loaded = pool.apply(load_dotted, ('toy_draws.make', 'sampler.module'), {'stored': True})\n"
        "    print(loaded.__module__)\n",
        encoding="utf-8",
    )
    words = [sys.executable, str(script), str(folder)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.returncode) == ("toy_draws\n", 0), ended.stderr


def nas(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, whose fork server starts with it."""
    return subprocess.run([sys.executable, "-m", "nas", *words], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_block_family_of_ones_own_is_searched_and_described_where_it_is_trusted(folder: Path, tmp_path: Path) -> None:
    (folder / "space").mkdir()
    (folder / "space" / "toy.yaml").write_text(SPACE, encoding="utf-8")
    (folder / "toy_blocks.py").write_text(FAMILY, encoding="utf-8")
    trusted, study = f"--config-dir={folder}", [f"outputs={tmp_path}", "study=mine"]
    searched = nas("search", *study, "space=toy", "sampler=random", trusted, *QUICK)
    assert searched.returncode == 0, searched.stderr
    found = json.loads(searched.stdout)["front"][0]
    assert found["architecture"]["stages"][0]["blocks"][0]["family"] == "toy_blocks.BOTTLENECK"
    described = ["describe", f"outputs={tmp_path}", f"architecture=mine:{found['trial']}", "format=json"]
    refused = nas(*described)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1), refused.stderr
    assert "give its folder as --config-dir" in refused.stderr
    assert json.loads(nas(*described, trusted).stdout)["costs"] == found["costs"]
