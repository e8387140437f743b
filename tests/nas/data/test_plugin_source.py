"""Sources of a user's own: a function in a module outside this program, named by its dotted path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas.config.data import DataSpec
from nas.data import DataError, describe, load, load_test
from nas.data.cache_key import cache_key
from nas.data.readers import READER
from search_space.plugins import TRUSTED, PluginError

ROOT = Path(__file__).parents[3]

STRIPES = '''
"""Stripes that lie or stand, painted without a file."""

import io
from contextlib import contextmanager

import numpy as np
from PIL import Image

from nas.data import Entry, Source, SourcePart


@contextmanager
def open_source(spec, count=40, extra=0, label=0, origin="the stripes"):
    labels = np.arange(count) % 2 + label
    entries = [Entry(f"stripes {n}", picture(n)) for n in range(count + extra)]
    part = SourcePart(labels.astype(np.int64), entries, origin)
    test = SourcePart(part.labels[:8], entries[:8], origin)
    yield Source(("lying", "standing"), part, test)


def picture(number):
    pixels = np.full((8, 8), number, np.uint8)
    pixels[(slice(None, None, 2), slice(None)) if number % 2 else (slice(None), slice(None, None, 2))] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write an importable module outside this program; it is unloaded after the test."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "toy_stripes.py").write_text(STRIPES, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv(TRUSTED, "")
    monkeypatch.delitem(sys.modules, "toy_stripes", raising=False)
    return folder / "toy_stripes.py"


def spec_of(**changes: Any) -> DataSpec:
    return DataSpec(**({"name": "stripes", "source": "toy_stripes.open_source"} | changes))


def test_readers_of_this_program_are_found_by_the_same_rule() -> None:
    assert READER.names() == ["digits", "hub", "image_folder", "parquet", "signals"]


@pytest.mark.usefixtures("module")
def test_a_source_of_ones_own_is_split_and_read() -> None:
    data = load(spec_of(val_fraction=0.25))
    assert data.classes == ("lying", "standing")
    assert (len(data.train), len(data.validation), data.shape) == (30, 10, (1, 8, 8))
    assert len(load_test(spec_of())) == 8
    assert len(load(spec_of(cache_gib=0.0)).train) == 32  # kept as the encoded pictures


@pytest.mark.usefixtures("module")
def test_its_options_reach_it_and_decide_the_cache() -> None:
    assert [describe(spec_of(options={"count": count})).train for count in (40, 60)] == [32, 48]
    with pytest.raises(PluginError, match=r"toy_stripes.open_source takes \['count', .*\], got \['size'\]"):
        load(spec_of(options={"size": 3}))


def test_another_version_of_its_module_is_read_anew(module: Path, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    spec = spec_of(path=str(folder))
    keys = [cache_key(spec)]
    module.write_text(STRIPES + "\n# changed\n", encoding="utf-8")
    keys.append(cache_key(spec))
    (folder / "b").mkdir()
    (folder / "b" / "image.bin").write_bytes(b"new")
    keys.append(cache_key(spec))
    assert len(set(keys)) == 3
    assert "toy_stripes" not in sys.modules  # found, not imported


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extra": 1}, "every image needs a label, got 41 or more and 40"),
        ({"extra": -40}, "every part of a source must hold images"),
        ({"extra": -1}, "every label needs an image, got 40 and 39"),
        ({"label": 1}, r"labels must lie in \[0, 2\), got 1 to 2"),
        ({"count": 0}, r"labels must be int64 \(N,\), one an image, got int64 \(0,\)"),
    ],
)
def test_a_source_that_breaks_the_contract_is_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load(spec_of(options=options))


@pytest.mark.usefixtures("module")
def test_pictures_without_files_or_an_origin_are_refused() -> None:
    with pytest.raises(DataError, match="without files must have an origin, stripes 0 has no file"):
        load(spec_of(options={"origin": None}, cache_gib=0.0))


def test_a_source_that_does_not_exist_is_refused() -> None:
    with pytest.raises(
        PluginError, match=r"data.source must be one of digits, hub, image_folder, parquet, signals, or a"
    ):
        load(DataSpec(name="mine", source="zip"))
    with pytest.raises(PluginError, match=r"data.source must be importable, got 'toy_absent.sub.open_source'"):
        load(DataSpec(name="mine", source="toy_absent.sub.open_source"))
    with pytest.raises(ValueError, match=r"data.options are for a reader of your own, got source digits"):
        DataSpec(options={"count": 3})


@pytest.mark.slow
def test_a_search_on_it_and_commands_on_its_study(module: Path, tmp_path: Path) -> None:
    outputs = f"outputs={tmp_path / 'outputs'}"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{module.parent}"}

    def nas(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nas", *words, outputs, "format=json"]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment | more)

    searched = nas(
        "search", "study=mine", "data.source=toy_stripes.open_source", "data.name=stripes", "+data.options.count=48",
        "tracking=none", "sampler=random", "workers.slots=1", "training.epochs=1", "budget.trials=2",
    )  # fmt: skip
    assert searched.returncode == 0, searched.stderr
    assert json.loads(searched.stdout)["study"] == "mine"
    # The study is a document: its reader runs only if it is trusted.
    retrain = ("retrain", "study=mine", "pick=best", "seeds=1", "training.epochs=1")
    refused = nas(*retrain)
    assert refused.returncode == 2
    assert "data.source names 'toy_stripes.open_source', code from outside this program" in refused.stderr
    retrained = nas(*retrain, NAS_PLUGINS="toy_stripes")
    assert retrained.returncode == 0, retrained.stderr
    assert np.isfinite(json.loads(retrained.stdout)["networks"][0]["test_accuracy"]["mean"])
