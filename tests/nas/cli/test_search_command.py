"""`nas search` end to end in this process; every user error is one line and writes nothing."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from nas.cli import main
from nas.cli.common.signals import stop_on_signals
from nas.study.storage.folder_lock import FolderLock
from nas.study.study import open_study

AT_ONCE = "budget.minutes=1e-9"  # ends before the first training
QUICK = ("tracking=none", "workers.slots=1")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache-of-search"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of studies, which does not exist yet, in an empty working directory."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work" / "outputs"


@pytest.fixture
def refuse(outputs: Path, capsys: pytest.CaptureFixture[str]):
    """Return a function that runs `nas search` on a user error and returns its one line, the only output."""

    def run(*words: str) -> str:
        before = contents(outputs.parent)
        assert main(["search", *QUICK, AT_ONCE, *words]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.count("\n") == 1, said.err
        assert said.err.startswith("nas search: ")
        assert "Traceback" not in said.err
        assert contents(outputs.parent) == before
        return said.err.removeprefix("nas search: ").rstrip("\n")

    return run


def contents(folder: Path) -> dict[str, object]:
    """Return the content of every file below `folder`, a database by its rows, without lock and scratch files."""
    passing = ("driver.lock", "study.db-shm", "study.db-wal")
    return {
        str(path.relative_to(folder)): content(path) if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if path.name not in passing
    }


def content(path: Path) -> object:
    if not path.read_bytes().startswith(b"SQLite"):
        return path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:  # its bytes change when the write-ahead log is taken in
        return list(connection.iterdump())


def test_a_search_leaves_a_study_a_front_and_its_circumstances(
    outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["search", *QUICK, "study=mine", "budget.trials=2", "training.epochs=1", "sampler=random", "format=json"]
    assert main(words) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert (document["study"], document["objectives"]) == ("mine", ["val_accuracy", "macs"])
    assert 1 <= len(document["front"]) <= 2
    folder = outputs / "mine"
    for path in (folder / "study.db", folder / "front.json", folder / "front.png"):
        assert f"  {path.relative_to(outputs.parent)}\n" in said.err
    assert json.loads((folder / "front.json").read_text()) == document
    assert (folder / "front.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((folder / "environment.json").read_text())["packages"]["torch"]
    assert "epochs: 1" in (folder / "config.yaml").read_text()
    assert [record.state for record in open_study(folder).records()] == ["complete"] * 2
    assert not list(outputs.parent.glob("*.yaml"))

    before = contents(folder / "trials")
    assert main(words) == 0  # the budget is used up: nothing is trained, the front is printed again
    assert json.loads(capsys.readouterr().out) == document
    assert contents(folder / "trials") == before


def test_a_search_names_its_study_after_data_and_space(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", *QUICK, AT_ONCE]) == 0
    assert (outputs / "digits-quick/study.db").is_file()
    assert "the time is up" in capsys.readouterr().err
    assert (outputs / "digits-quick/front.png").stat().st_size > 1000  # of a study without a trial


def images(folder: Path, **counts: int) -> Path:
    """Make an image folder with so many images a class."""
    generator = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = generator.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


def test_data_that_is_not_there_is_refused(refuse, tmp_path: Path) -> None:
    for data in ("image_folder", "cifar10"):
        assert str(tmp_path / "nowhere") in refuse(f"data={data}", f"data.path={tmp_path / 'nowhere'}")


def test_an_empty_folder_is_refused(refuse, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for data in ("image_folder", "cifar10"):
        assert str(tmp_path / "empty") in refuse(f"data={data}", f"data.path={tmp_path / 'empty'}")


def test_a_class_with_too_few_images_to_split_is_refused_by_name(refuse, tmp_path: Path) -> None:
    path = images(tmp_path / "photos", cat=12, unicorn=1)
    assert "unicorn" in refuse("data=image_folder", f"data.path={path}")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("budget.trails=3", "there is no 'budget.trails' to set; did you mean budget.trials?"),
        ("bugdet.trials=3", "there is no 'bugdet' to set; did you mean budget?"),
        ("sampler=tpe2", "sampler must be one of evolution, gp, known_cost, nsga2, nsga3, random, stratified, tpe, "),
        ("budget.trials=-3", "budget.trials must be positive, got -3"),
        ("budget.minutes=0", "budget.minutes must be positive, got 0.0"),
        ("limits.max_macs=-1", "limits.max_macs must be positive, got -1"),
        ("workers.slots=0", "workers.slots must be auto or at least 1, got 0"),
        ("objective=[val_accuracy,speed]", "objective must be one of "),
        ("objective=[]", "objective must name at least one objective, e.g. objective=[val_accuracy,macs]"),
        (
            "sampler=tpe sampler.optuna_class=Oracle",
            "sampler.optuna_class must be a sampler of optuna.samplers, got 'Oracle'",
        ),
        ("sampler=tpe +sampler.options.speed=9", "TPESampler takes ["),
        ("study=''", "study must be a name or a path, got an empty one"),
    ],
)
def test_a_misspelt_or_impossible_setting_is_refused(refuse, word: str, message: str) -> None:
    assert refuse(*word.split()).startswith(message)


@pytest.mark.parametrize("name", ["params", "macs", "memory_mib"])
def test_a_limit_that_nothing_meets_is_refused_with_the_cheapest_cost(refuse, name: str) -> None:
    said = refuse(f"limits.max_{name}={'1e-6' if name == 'memory_mib' else '3'}")
    assert said.startswith(f"limits.max_{name} must leave an architecture, the cheapest of quick for")
    assert " costs " in said


@pytest.fixture
def study(outputs: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Make a study without a trial."""
    assert main(["search", *QUICK, "study=mine", AT_ONCE]) == 0
    capsys.readouterr()
    return outputs / "mine"


def test_a_study_made_with_something_else_is_refused_with_the_difference(refuse, study: Path) -> None:
    cases = {
        "space.dropout=0.25": "space.dropout is null in the study and 0.25 here",
        "training.epochs=13": "training.epochs is 12 in the study and 13 here",
        "data.split_seed=1": "data.split_seed is 0 in the study and 1 here",
        "data.train_fraction=0.5": "data.train_fraction is 1.0 in the study and 0.5 here",
        "objective=[val_accuracy,params]": (
            'objectives is ["val_accuracy", "macs"] in the study and ["val_accuracy", "params"] here'
        ),
    }
    for word, difference in cases.items():
        said = refuse("study=mine", word.replace("space.dropout", "+space.dropout"))
        assert said.startswith("a study goes on with what it was made with; in outputs/mine "), said
        assert difference in said
        assert said.endswith("Take another study=NAME")


def test_a_study_that_another_process_holds_is_refused(refuse, study: Path) -> None:
    with FolderLock(study):
        assert f"is driven by process {os.getpid()} on " in refuse("study=mine")


@pytest.mark.parametrize(("content", "trained"), [(b"", True), (b"no database at all, for sure" * 40, False)])
def test_a_file_that_is_no_study_is_refused(refuse, outputs: Path, content: bytes, trained: bool) -> None:
    (outputs / "mine").mkdir(parents=True)
    (outputs / "mine/study.db").write_bytes(content)
    if trained:
        (outputs / "mine/trials").mkdir()
    assert "a study must " in refuse("study=mine")


def test_an_outputs_folder_that_cannot_be_written_is_refused(refuse, outputs: Path) -> None:
    outputs.parent.joinpath("file").write_text("")
    assert refuse("outputs=file/outputs") == "Not a directory: file/outputs/digits-quick/study.db"
    assert refuse("outputs=/proc/outputs") == "No such file or directory: /proc/outputs"


@pytest.mark.parametrize(("number", "reason"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_signals_end_a_search_in_order_and_a_second_one_at_once(number: signal.Signals, reason: str) -> None:
    heard: list[tuple[str, bool]] = []
    search = SimpleNamespace(stop=lambda why, *, at_once: heard.append((why, at_once)))
    before = signal.getsignal(number)
    with stop_on_signals(search):  # type: ignore[arg-type]  # all that is asked of it
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
    assert heard == [(reason, False), (reason, True)]
    assert signal.getsignal(number) is before
