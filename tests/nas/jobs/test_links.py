"""Links in a study's folder: nothing is written or deleted through them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nas.jobs.links import CHECKPOINT_FILES, LinkError, open_log, refuse_links, refuse_shared, remove_files, stored_file


def test_a_link_below_the_folder_is_refused_and_the_folder_itself_may_be_one(tmp_path: Path) -> None:
    (tmp_path / "real" / "trials").mkdir(parents=True)
    study = tmp_path / "study"
    study.symlink_to("real")
    refuse_links(study, study / "trials" / "00003" / "repeat1")
    (tmp_path / "real" / "trials" / "00003").symlink_to(tmp_path)
    with pytest.raises(LinkError, match=r"trials/00003 is a link: put a folder in its place"):
        refuse_links(study, study / "trials" / "00003" / "repeat1")
    for outside in (study / ".." / "other", tmp_path):
        with pytest.raises(LinkError, match="must lie in its folder"):
            refuse_links(study, outside)


def test_a_file_with_another_name_is_shared(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    refuse_shared(path)
    path.write_text("x")
    refuse_shared(path)
    os.link(path, tmp_path / "other")
    with pytest.raises(LinkError, match=r"study\.db has another name elsewhere: put a copy in its place"):
        refuse_shared(path)
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(LinkError, match=r"study\.db is a link"):
        refuse_shared(path)


@pytest.mark.parametrize("kind", ["link", "dangling", "hard", "pipe"])
def test_a_log_is_a_file_of_its_own(tmp_path: Path, kind: str) -> None:
    victim, log = tmp_path / "victim", tmp_path / "log.txt"
    victim.write_text("old\n")
    {
        "link": lambda: log.symlink_to(victim),
        "dangling": lambda: log.symlink_to(tmp_path / "nowhere"),
        "hard": lambda: os.link(victim, log),
        "pipe": lambda: os.mkfifo(log),
    }[kind]()
    for text in (b"first\n", b"second\n"):
        with os.fdopen(open_log(log), "ab") as file:
            file.write(text)
    assert (log.read_text(), victim.read_text()) == ("first\nsecond\n", "old\n")
    assert not (tmp_path / "nowhere").exists()


def test_only_names_that_are_written_are_removed_and_never_through_a_link(tmp_path: Path) -> None:
    ours = {"attempt1-epoch003.pt", "attempt12-epoch100.unreadable", ".attempt1-epoch004.pt.1a2b3c4d.part"}
    others = {"notes.pt", "attempt1.pt", "best-attempt1-epoch003.pt", "log.txt", "x.part"}
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    for name in ours | others:
        (folder / name).write_text("x")
    (tmp_path / "victim").write_text("old")
    (folder / "attempt2-epoch001.pt").symlink_to(tmp_path / "victim")
    remove_files(link, CHECKPOINT_FILES)
    assert {path.name for path in folder.iterdir()} == ours | others | {"attempt2-epoch001.pt"}
    remove_files(folder, CHECKPOINT_FILES)
    assert {path.name for path in folder.iterdir()} == others
    assert (tmp_path / "victim").read_text() == "old"
    remove_files(tmp_path / "none", CHECKPOINT_FILES)


@pytest.mark.parametrize("named", ["../victim/x.pt", "/etc/passwd", "", "trials/../../x.pt", "a\0b", "out/x.pt"])
def test_a_stored_path_stays_in_the_folder(tmp_path: Path, named: str) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "out").symlink_to(tmp_path)
    (study / "in").symlink_to(study / "trials")
    with pytest.raises(LinkError, match="a stored file must lie in the study's folder"):
        stored_file(study, named)
    assert stored_file(study, "in/x.pt") == study / "in" / "x.pt"
