"""Tests of the synchronisation of two folders: new files, removed files and the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.jobs.files import write_bytes
from nas.workers.ray.folder_sync import FolderChanges, FolderWatcher, apply_changes

LOG = "log.txt"


@pytest.fixture
def far(tmp_path: Path) -> Path:
    (tmp_path / "far").mkdir()
    return tmp_path / "far"


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_new_files_removed_files_and_the_log_are_synchronised(far: Path, tmp_path: Path) -> None:
    near = tmp_path / "near"
    (far / "start.pt").write_bytes(b"0")
    watcher = FolderWatcher(far, LOG)
    write_bytes(near_made(near) / "start.pt", b"0")
    (near / LOG).write_bytes(b"before\n")

    (far / LOG).write_bytes(b"one\n")
    (far / "1.pt").write_bytes(b"1")
    (far / "start.pt").unlink()
    (far / ".2.pt.part").write_bytes(b"half")
    changes = watcher.changes()
    assert changes == FolderChanges({"1.pt": b"1"}, ("start.pt",), b"one\n")
    apply_changes(changes, near, LOG)
    assert content(near) == {"1.pt": b"1", LOG: b"before\none\n"}

    assert watcher.changes() == FolderChanges()
    with (far / LOG).open("ab") as log:
        log.write(b"two\n")
    write_bytes(far / "1.pt", b"other")
    apply_changes(watcher.changes(), near, LOG)
    assert content(near) == {"1.pt": b"other", LOG: b"before\none\ntwo\n"}


def near_made(near: Path) -> Path:
    near.mkdir()
    return near


def test_a_synchronised_file_stays_after_a_loss(far: Path, tmp_path: Path) -> None:
    """Assert that a file stays until its successor is complete."""
    near = tmp_path / "near"
    watcher = FolderWatcher(far, LOG)
    (far / "1.pt").write_bytes(b"1")
    apply_changes(watcher.changes(), near, LOG)
    (far / "1.pt").unlink()
    assert content(near) == {"1.pt": b"1"}


@pytest.mark.parametrize("name", ["../outside", "a/b", ".hidden", "/etc/passwd"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="a synchronised file must have a plain name, got"):
        apply_changes(FolderChanges({name: b""}), tmp_path / "near", LOG)
    with pytest.raises(ValueError, match="a synchronised file must have a plain name, got"):
        apply_changes(FolderChanges(removed=(name,)), tmp_path / "near", LOG)


def test_a_missing_folder_is_created_and_a_missing_file_is_no_error(tmp_path: Path) -> None:
    apply_changes(FolderChanges({"a": b"1"}, ("b",)), tmp_path / "x" / "y", LOG)
    assert content(tmp_path / "x" / "y") == {"a": b"1"}


STEPS = st.lists(
    st.lists(st.tuples(st.sampled_from(["a", "b", LOG]), st.one_of(st.none(), st.binary(max_size=8))), max_size=4),
    max_size=6,
)


@settings(max_examples=50, deadline=None)
@given(STEPS)
def test_both_folders_are_equal_after_each_step(tmp_path_factory: pytest.TempPathFactory, steps: list) -> None:  # type: ignore[type-arg]  # as drawn
    far, near = tmp_path_factory.mktemp("far"), tmp_path_factory.mktemp("near")
    watcher = FolderWatcher(far, LOG)
    for step in steps:
        for name, data in step:
            if name == LOG:
                with (far / LOG).open("ab") as log:
                    log.write(data or b"-")
            elif data is None:
                (far / name).unlink(missing_ok=True)
            else:
                write_bytes(far / name, data)
        apply_changes(watcher.changes(), near, LOG)
        assert content(near) == content(far)
