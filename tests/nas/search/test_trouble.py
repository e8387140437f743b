"""The whole program in trouble: a child that hangs, checkpoints damaged or gone, a disk that is full or read-only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from processes import children, session, wait_until
from storm import came_of

from nas.study.summary import open_for_reading

TRIALS, EPOCHS = 2, 6
WORDS = [
    "sampler=random",
    "fidelity=full",
    "seed=8",
    f"budget.trials={TRIALS}",
    f"training.epochs={EPOCHS}",
    "data.train_fraction=0.5",
    "workers.slots=1",
    "tracking=none",
    "format=json",
]


def start(outputs: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nas", "search", *WORDS, f"outputs={outputs}", "study=s", *words]
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and last line of a search; nothing of it is left running."""
    errors = process.communicate(timeout=200)[1]
    wait_until(lambda: not session(process.pid), "a process outlived its driver")
    assert "Traceback" not in errors
    return process.returncode, errors.strip().splitlines()[-1]


def checkpoint_in(process: subprocess.Popen[str], outputs: Path) -> Path:
    """The first checkpoint there is."""
    found: list[Path] = []

    def there() -> bool:
        found[:] = sorted(outputs.glob("s/trials/*/*.pt"))
        assert process.poll() is None, "the search has ended before it came into trouble"
        return bool(found)

    wait_until(there, "no epoch was trained")
    return found[0]


def assert_it_ends_as_if_nothing_had_happened(outputs: Path, calm: Path, **retries: int) -> None:
    status = open_for_reading(outputs / "s").status_document()
    counts = status["trials"]
    assert (counts["complete"], counts["failed"], counts["running"], counts["frozen"]) == (TRIALS, 0, 0, 0)
    assert status["retries"] == retries
    assert came_of(outputs / "s") == came_of(calm / "s")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A search that meets no trouble."""
    outputs = tmp_path_factory.mktemp("calm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_CACHE_DIR", str(outputs / "cache"))
        patch.setenv("OMP_NUM_THREADS", "1")
        assert end_of(start(outputs))[0] == 0
        yield outputs


def flip(path: Path) -> None:
    """Flips the bytes of the middle, weights mostly."""
    content = bytearray(path.read_bytes())
    middle = slice(len(content) // 3, len(content) // 2)
    content[middle] = bytes(byte ^ 0xFF for byte in content[middle])
    path.write_bytes(content)


def fill(path: Path) -> None:
    """A file that leaves no byte of its file system."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)


@pytest.mark.slow
@pytest.mark.parametrize(("damage", "retries"), [(flip, {"checkpoint": 1}), (Path.unlink, {})])
def test_a_checkpoint_that_is_damaged_or_gone_costs_its_epochs_and_no_more(
    tmp_path: Path, calm: Path, damage: Callable[[Path], None], retries: dict[str, int]
) -> None:
    process = start(tmp_path)
    checkpoint_in(process, tmp_path)
    process.kill()
    process.communicate()
    wait_until(lambda: not session(process.pid), "a process outlived its driver")
    left = sorted(tmp_path.glob("s/trials/00000/*.pt"))
    damage(left[-1])
    assert end_of(start(tmp_path))[0] == 0
    assert_it_ends_as_if_nothing_had_happened(tmp_path, calm, **retries)
    assert len(list(tmp_path.glob("s/trials/00000/*.unreadable"))) == len(retries)


@pytest.mark.slow
def test_a_child_that_hangs_is_killed_and_its_trial_tried_again(tmp_path: Path, calm: Path) -> None:
    process = start(tmp_path, "workers.deadline_minutes=0.3")
    wait_until(lambda: children(process.pid), "no child has started")
    (child,) = children(process.pid)
    os.kill(child, signal.SIGSTOP)
    assert end_of(process)[0] == 0
    assert_it_ends_as_if_nothing_had_happened(tmp_path, calm, deadline=1)


@pytest.mark.slow
def test_a_full_disk_stops_the_program_in_order(mount: Callable[[str], Path], calm: Path) -> None:
    outputs = mount("size=8m")
    process = start(outputs)
    checkpoint_in(process, outputs)
    ballast = outputs / "ballast"
    fill(ballast)
    code, line = end_of(process)
    assert code == 2
    assert "the disk must have room for" in line
    ballast.unlink()
    assert end_of(start(outputs))[0] == 0
    assert_it_ends_as_if_nothing_had_happened(outputs, calm)


@pytest.mark.slow
def test_an_outputs_folder_that_turns_read_only_stops_the_program_in_order(
    mount: Callable[[str], Path], calm: Path
) -> None:
    outputs = mount("size=64m")
    process = start(outputs)
    checkpoint_in(process, outputs)
    subprocess.run(["mount", "--bind", str(outputs), str(outputs)], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", str(outputs)], check=True)
    code, line = end_of(process)
    subprocess.run(["umount", "-l", str(outputs)], check=True)
    assert code == 2
    assert "must stay writable while" in line
    assert end_of(start(outputs))[0] == 0
    assert_it_ends_as_if_nothing_had_happened(outputs, calm)
