"""Injected faults × commands: a result, or one line and exit code 2; no traceback, and no file outside is changed."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from injected import FAULTS

from nas.cli import main

COMMANDS = {
    "status": ("status", "study=s", "format=json"),
    "status text": ("status", "study=s"),
    "front": ("front", "study=s", "format=json"),
    "front text": ("front", "study=s"),
    "report": ("report", "study=s"),
    "describe": ("describe", "architecture=s:0"),
    "export": ("export", "study=s", "pick=best", "formats=[safetensors]"),
    "search": ("search", "study=s", "format=json"),
}
SEARCH = (
    "tracking=none",
    "sampler=random",
    "budget.trials=3",
    "training.epochs=1",
    "workers.slots=1",
    "data.train_fraction=0.3",
)
WRITERS = ("report", "export", "search")
ALIKE = (("status", "front text", "describe"), ("status text", "front"))
"""Commands that read alike; one group or the other suffices for a fault."""
LONGEST = 500


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An outputs folder with a finished search of three trainings."""
    outputs = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE_DIR", str(outputs / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        assert main(["search", "study=s", f"outputs={outputs}", *SEARCH]) == 0
        yield outputs


def tree(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Contents and times of the files below a folder, without the shared memory of readers of a database."""
    files = (
        path for path in folder.rglob("*") if path.is_file() and not path.is_symlink() and path.suffix != ".db-shm"
    )
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def injected(fault: str, template: Path, folder: Path) -> tuple[Path, Path]:
    """A copy of the study with the fault in it, and the folder beside it."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "victim.pt").write_bytes(b"precious")
    outputs = folder / "outputs"
    shutil.copytree(template / "s", outputs / "s")
    FAULTS[fault](outputs / "s", elsewhere)
    return outputs, elsewhere


def matrix() -> Iterator[Any]:
    """Yield every fault with every command; of the writers, and of the readers alike, some in turn are not slow."""
    for place, fault in enumerate(FAULTS):
        rested = {*WRITERS, *ALIKE[place % len(ALIKE)]} - {WRITERS[place % len(WRITERS)]}
        for command in COMMANDS:
            often = fault == "none" or command not in rested
            yield pytest.param(fault, command, marks=() if often else pytest.mark.slow)


@pytest.mark.parametrize(("fault", "command"), list(matrix()))
def test_a_result_or_one_line(
    fault: str,
    command: str,
    template: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    outputs, elsewhere = injected(fault, template, tmp_path)
    before = tree(elsewhere)
    words = COMMANDS[command]
    code = main([*words, f"outputs={outputs}", *(SEARCH if command == "search" else ())])
    captured = capsys.readouterr()
    assert tree(elsewhere) == before
    assert not (elsewhere / "made-by-us").exists()
    assert not (tmp_path / "pwned").exists()
    assert "Traceback" not in captured.err
    if code == 0:
        assert captured.out
        if "format=json" in words:
            json.loads(captured.out)
    else:
        assert code == 2
        line = captured.err.splitlines()[-1]
        assert line.startswith(f"nas {words[0]}: ")
        assert len(line) < LONGEST
        assert "HYDRA_FULL_ERROR" not in line
    if fault == "none":
        assert code == 0


READERS = {name: words for name, words in COMMANDS.items() if name not in {"report", "export", "search"}}
ELSEWHERE = {
    "report": ("report", "study=s", "output=elsewhere/report.html"),
    "export": ("export", "study=s", "pick=best", "formats=[safetensors]", "output=elsewhere/export"),
}


@pytest.fixture
def full(template: Path, mount: Callable[[str], Path]) -> Path:
    """An outputs folder on a file system that is full."""
    outputs = mount("size=6m")
    shutil.copytree(template / "s", outputs / "s")
    with suppress(OSError), (outputs / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    return outputs


@pytest.fixture
def sealed(template: Path, mount: Callable[[str], Path]) -> Path:
    """An outputs folder on a file system that is read-only."""
    outputs = mount("size=6m")
    shutil.copytree(template / "s", outputs / "s")
    (outputs / "s" / "report.html").write_text("good", encoding="utf-8")
    subprocess.run(["mount", "-o", "remount,ro", str(outputs)], check=True)
    return outputs


@pytest.mark.parametrize("command", READERS)
def test_a_study_on_a_full_disk_can_be_read(command: str, full: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(full)
    assert main([*READERS[command], f"outputs={full}"]) == 0
    assert capsys.readouterr().out
    assert tree(full) == before


@pytest.mark.parametrize("command", READERS)
def test_a_read_only_study_can_be_read(command: str, sealed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*READERS[command], f"outputs={sealed}"]) == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("command", ["report", "export", "search"])
def test_a_read_only_study_is_not_written_to(command: str, sealed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (*COMMANDS[command], f"outputs={sealed}", *((*SEARCH, "budget.trials=4") if command == "search" else ()))
    assert main(words) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"nas {command}: ")
    assert "Read-only file system" in line or "must be a folder that can be written to, it is not: set output=" in line


@pytest.mark.parametrize("command", ELSEWHERE)
def test_a_read_only_study_is_written_from_to_elsewhere(
    command: str, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*ELSEWHERE[command], f"outputs={sealed}"]) == 0
    assert any((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize("command", ["report", "export"])
def test_a_full_disk_leaves_the_old_file_whole(
    command: str, template: Path, mount: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = mount("size=6m")
    shutil.copytree(template / "s", outputs / "s")
    assert main([*COMMANDS[command], f"outputs={outputs}"]) == 0
    with suppress(OSError), (outputs / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    before = tree(outputs)
    capsys.readouterr()
    assert main([*COMMANDS[command], f"outputs={outputs}"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "No space left on device" in line
    assert command in line.removeprefix(f"nas {command}: ")
    assert tree(outputs) == before
