"""Hostile studies: no command changes a file outside the study's folder, whatever links and paths stand in it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch

from nas.cli import main

SMALL = ("fidelity=full", "training.epochs=1", "workers.slots=1", "tracking=none")
COMMANDS: dict[str, tuple[str, ...]] = {
    "status": (),
    "front": (),
    "report": (),
    "describe": (),
    "export": ("pick=0", "formats=[safetensors]", "images=1"),
    "retrain": ("pick=0", "seeds=1", "training.epochs=1"),
    "search": (*SMALL, "budget.trials=4", "workers.keep=none"),
    "stop": (),
}
FILES = (
    "config.yaml",
    "environment.json",
    "front.json",
    "front.png",
    "report.html",
    "stop",
    "trials/00000/log.txt",
    "trials/00003/log.txt",
    "trials/00003/attempt1-epoch001.pt",
    "trials/00003/.attempt1-epoch001.pt.0a1b2c3d.part",
    "retrain/0/result.json",
    "retrain/0/seed0/result.json",
    "retrain/0/seed0/log.txt",
    "retrain/0/seed0/attempt1-epoch001.pt",
    "export/0/checks.json",
    "export/0/model.py",
    "export/0/weights.safetensors",
)
FOLDERS = ("trials", "trials/00001", "retrain", "retrain/0", "retrain/0/seed0", "export", "export/0", "wandb")
REFUSES = {"trials": "search", "retrain": "retrain", "export": "export", "wandb": "search"}
"""Command that writes into a folder, by the first name of its path."""

SCORES = ("val_accuracy", "test_accuracy", "test_balanced_accuracy", "test_loss")
RESULT = {"seed": 0, "epochs": 1, "test_images": 9, **dict.fromkeys(SCORES, 0.9)}

Tree = dict[str, tuple[bytes | str | None, int, int]]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Study of three trained networks; copy it before changing it."""
    root = tmp_path_factory.mktemp("searched")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE_DIR", str(root / "cache"))
        assert main(["search", f"study={root / 'digits'}", *SMALL, "budget.trials=3", "workers.keep=all"]) == 0
        yield root / "digits"


@pytest.fixture
def study(searched: Path, tmp_path: Path) -> Path:
    shutil.copytree(searched, tmp_path / "study")
    return tmp_path / "study"


@pytest.fixture
def victims(tmp_path: Path) -> Path:
    """Folder of files beside the study, under names that a study has too."""
    root = tmp_path / "victims"
    for folder in (".", "00000", "0", "seed0", "repeat1", "run-1"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name in ("victim", "attempt1-epoch001.pt", ".attempt1-epoch001.pt.part", "result.json", "log.txt", "x.pt"):
            (root / folder / name).write_text("{}\n")
    return root


def tree(root: Path) -> Tree:
    """Return content, time of modification and mode of everything in a folder."""
    found: Tree = {}
    for path in sorted(root.rglob("*")):
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (content, path.lstat().st_mtime_ns, path.lstat().st_mode)
    return found


def run(capfd: pytest.CaptureFixture[str], study: Path, name: str, *more: str) -> tuple[int, str]:
    """Return exit code and standard error of a command; it must not end in a traceback."""
    words = [f"architecture={study}:0"] if name == "describe" else [f"study={study}", *COMMANDS[name]]
    capfd.readouterr()
    code = main([name, *words, *more])
    err = capfd.readouterr().err
    assert "Traceback" not in err
    return code, err


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def set_checkpoints(study: Path, named: str) -> None:
    """Write another path in the place of every trial's checkpoint."""
    with closing(sqlite3.connect(study / "study.db")) as database:
        for row, text in database.execute(
            "SELECT trial_user_attribute_id, value_json FROM trial_user_attributes WHERE key = 'training'"
        ).fetchall():
            changed = json.dumps(json.loads(text) | {"checkpoint": named})
            database.execute(
                "UPDATE trial_user_attributes SET value_json = ? WHERE trial_user_attribute_id = ?", (changed, row)
            )
        database.commit()


@pytest.mark.few(1)
@pytest.mark.parametrize("target", ["victim", "nowhere"])
def test_links_in_the_place_of_files_are_replaced(
    study: Path, victims: Path, capfd: pytest.CaptureFixture[str], target: str
) -> None:
    for name in FILES:
        link(study / name, victims / target)
    before = tree(victims)
    for name in COMMANDS:
        code, err = run(capfd, study, name)
        assert code == (2 if name == "stop" else 0), f"{name}: {err}"  # nobody drives the study
        assert tree(victims) == before, name
    for name in ("report.html", "front.json", "front.png", "config.yaml", "environment.json", "retrain/0/result.json"):
        assert (study / name).is_file(), name
        assert not (study / name).is_symlink(), name


@pytest.mark.few(2)
@pytest.mark.parametrize("name", FOLDERS)
def test_a_link_in_the_place_of_a_folder_is_refused(
    study: Path, victims: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    before = tree(victims)
    link(study / name, victims)
    refusing = REFUSES[Path(name).parts[0]]
    more = ["tracking=wandb"] if name == "wandb" else []
    code, err = run(capfd, study, refusing, *more)
    assert tree(victims) == before
    assert code == 2
    assert f"{study / name} is a link" in err
    assert len(err.strip().splitlines()) == 1
    for command in ("status", "front", "report", "describe"):
        assert run(capfd, study, command)[0] == 0
    assert tree(victims) == before


@pytest.mark.few(2)
@pytest.mark.parametrize("kind", ["link", "hard"])
@pytest.mark.parametrize("name", ["study.db", "study.db-wal", "driver.lock"])
def test_a_shared_database_or_lock_is_not_written_to(
    study: Path, victims: Path, capfd: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    path, other = study / name, victims / name
    if name == "study.db":
        shutil.move(path, other)
    else:
        other.write_text("old")
        path.unlink(missing_ok=True)
    path.symlink_to(other) if kind == "link" else os.link(other, path)
    before = tree(victims)
    for reader in ("status", "front", "report", "describe"):
        run(capfd, study, reader)
        assert tree(victims) == before, reader
    code, err = run(capfd, study, "search")
    assert code == 2
    assert f"{path} {'is a link' if kind == 'link' else 'has another name elsewhere'}: put a copy in its place" in err
    assert tree(victims) == before


@pytest.mark.few(2)
@pytest.mark.parametrize("path", ["../victims/x.pt", "{victims}/x.pt", "/etc/passwd", "out/x.pt", "trials/00000/o.pt"])
def test_a_checkpoint_outside_the_study_is_refused(
    study: Path, victims: Path, capfd: pytest.CaptureFixture[str], path: str
) -> None:
    (study / "out").symlink_to(victims)
    (study / "trials" / "00000" / "o.pt").symlink_to(victims / "x.pt")
    set_checkpoints(study, path.format(victims=victims))
    before = tree(victims)
    code, err = run(capfd, study, "export")
    assert code == 2
    assert "a stored file must lie in the study's folder" in err
    assert "remove" not in err
    assert not (study / "export").exists()
    for name in ("status", "report", "search") if path.startswith("..") else ("report",):
        assert run(capfd, study, name)[0] == 0
    assert tree(victims) == before


@pytest.mark.few(2)
@pytest.mark.parametrize("named", ["../../../../victims/x.pt", "/etc/passwd", "result.json", None, 3])
def test_a_retrained_network_with_weights_elsewhere_is_trained_again(
    study: Path, victims: Path, capfd: pytest.CaptureFixture[str], named: Any
) -> None:
    before = tree(victims)
    seed = study / "retrain" / "0" / "seed0"
    seed.mkdir(parents=True)
    (seed / "result.json").write_text(json.dumps(RESULT | {"checkpoint": named}))
    code, err = run(capfd, study, "export")
    assert code == 2
    assert "a retrained network must name a checkpoint of its folder" in err
    if named is None:
        assert run(capfd, study, "retrain")[0] == 0
        assert json.loads((seed / "result.json").read_text())["checkpoint"].startswith("attempt1-epoch")
        assert run(capfd, study, "export")[0] == 0
    assert tree(victims) == before


def test_a_replaced_retraining_leaves_the_files_of_others(
    study: Path, victims: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = tree(victims)
    assert run(capfd, study, "retrain")[0] == 0
    (study / "retrain" / "0" / "notes.txt").write_text("mine")
    (study / "retrain" / "0" / "seed7").symlink_to(victims)
    code, err = run(capfd, study, "retrain", "training.epochs=2")
    assert (code, "replace=true deletes it and starts anew" in err) == (2, True)
    assert run(capfd, study, "retrain", "training.epochs=2", "replace=true")[0] == 0
    assert (study / "retrain" / "0" / "notes.txt").read_text() == "mine"
    assert json.loads((study / "retrain" / "0" / "result.json").read_text())["training"]["epochs"] == 2
    assert tree(victims) == before


@pytest.mark.few(2)
@pytest.mark.parametrize("name", ["config.yaml", "environment.json", "retrain/0/result.json", "study.db"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_pipe_or_a_device_in_a_study_is_not_waited_for(
    study: Path, capfd: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    path = study / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    code, err = run(capfd, study, "report")
    assert (code, len(err.strip().splitlines())) in {(0, 0), (0, 1), (2, 1)}


def test_a_killed_export_is_swept_by_the_next(study: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name in (".0-ab12cd34.partial", ".2-ab12cd3_.partial", "notes.partial"):
        (study / "export" / name).mkdir(parents=True)
    assert run(capfd, study, "export")[0] == 0
    assert {path.name for path in (study / "export").iterdir()} == {"0", "notes.partial"}
