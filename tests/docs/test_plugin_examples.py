"""Examples of plug-ins in docs/examples/plugins, all in one search, and an export with the format among them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from nas.cli import main
from search_space.plugins import TRUSTED

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples" / "plugins"
PARTS = {
    "space": "bottlenecks",
    "objective": "[val_accuracy,depth]",
    "limits.max_depth": "2",
    "sampler": "small_population",
    "fidelity": "halfway",
    "data": "stripes",
    "augmentation": "[noise]",
    "tracking": "text_file",
}


def test_they_search_and_export_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv(TRUSTED, os.environ.get(TRUSTED, ""))
    monkeypatch.setattr(sys, "path", list(sys.path))
    words = [f"{key}={value}" for key, value in PARTS.items()]
    usual = ["--config-dir", str(EXAMPLES), "study=mine"]
    small = ["budget.trials=2", "training.epochs=2", "workers.slots=1", "format=json"]
    assert main(["search", *usual, *words, *small]) == 0, capsys.readouterr().err
    front = json.loads(capsys.readouterr().out)["front"]
    assert front
    for network in front:
        blocks = [block for stage in network["architecture"]["stages"] for block in stage["blocks"]]
        assert {block["family"] for block in blocks} == {"bottleneck.FAMILY"}
        assert network["costs"]["depth"] == len(blocks) + 1 <= 2
        assert network["architecture"]["classes"] == 2
    study = Path("outputs/mine")
    assert (study / "trials.txt").read_text().count("\n") >= 3
    assert main(["export", *usual, "pick=best", "formats=[class_list.FORMAT]"]) == 0
    (written,) = study.glob("export/*/classes.txt")
    assert written.read_text() == "horizontal\nvertical\n"


def test_every_example_is_used() -> None:
    files = {path.stem for path in EXAMPLES.rglob("*.yaml")}
    used = set(" ".join(PARTS.values()).replace("[", " ").replace("]", " ").replace(",", " ").split())
    assert files <= used
    assert len(list(EXAMPLES.glob("*.py"))) == len(files) + 1, "the export format alone has no YAML"
