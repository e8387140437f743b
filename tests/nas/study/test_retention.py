"""Which checkpoints stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.study.retention import Retention
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Record

CANDIDATE = Candidate(0, {}, {}, {}, "", "", "", {}, 0)


def record(number: int, state: str) -> Record:
    return Record(number, state, CANDIDATE, (), TrainingState(), None, None)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name in ("attempt1-epoch003.pt", ".attempt1-epoch004.pt.part", "attempt1-epoch001.unreadable", "log.txt"):
            (folder / name).write_text("x")
    return tmp_path


def left(folder: Path) -> set[str]:
    return {path.parent.name for path in folder.rglob("*.pt")}


RECORDS = [record(0, "complete"), record(1, "complete"), record(2, "failed"), record(3, "pruned"), record(4, "running")]


@pytest.mark.parametrize(("keep", "expected"), [("all", "01234"), ("front", "14"), ("none", "4")])
def test_what_stays(folders: Path, keep: str, expected: str) -> None:
    Retention(keep, lambda number: folders / str(number)).delete_unneeded(RECORDS, [RECORDS[1]])
    assert left(folders) == set(expected)
    assert len(list(folders.rglob("log.txt"))) == 5
    dropped = 5 - len(expected)
    assert len(list(folders.rglob("*.part"))) == len(list(folders.rglob("*.unreadable"))) == 5 - dropped


def test_what_leaves_the_front_goes_later(folders: Path) -> None:
    retention = Retention("front", lambda number: folders / str(number))
    retention.delete_unneeded(RECORDS[:1], [RECORDS[0]])
    assert "0" in left(folders)
    retention.delete_unneeded(RECORDS, [RECORDS[1]])
    assert left(folders) == {"1", "4"}


def test_a_trial_without_a_folder_is_no_matter(tmp_path: Path) -> None:
    Retention("none", lambda number: tmp_path / str(number)).delete_unneeded(RECORDS, [])


def test_an_unknown_word_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one of all, front, none, got 'some'"):
        Retention("some", lambda number: tmp_path)
