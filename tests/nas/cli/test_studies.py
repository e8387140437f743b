"""`study=` names a folder under outputs, or a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas.cli.common.studies import study_overrides
from nas.config.commands import StopConfig
from nas.config.storage import StorageSpec
from nas.study.folders import existing_study, study_folder


def test_a_name_is_a_folder_under_outputs(tmp_path):
    assert study_folder("mine", str(tmp_path)) == tmp_path / "mine"
    assert study_folder("mine", "outputs") == Path("outputs/mine")


@pytest.mark.parametrize("path", ["/somewhere/mine", "./mine", "../mine", "a/b"])
def test_what_looks_like_a_path_is_one(path, tmp_path):
    assert study_folder(path, str(tmp_path)) == Path(path)


def test_a_name_with_a_separator_that_is_there_is_a_name(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert study_folder("a/b", str(tmp_path)) == tmp_path / "a" / "b"


def test_the_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert study_folder("~/mine", "outputs") == tmp_path / "mine"
    assert study_folder("mine", "~/outputs") == tmp_path / "outputs" / "mine"


@pytest.mark.parametrize("study", ["", "  "])
def test_an_empty_name_is_refused(study):
    with pytest.raises(ValueError, match="study must be a name or a path, got an empty one"):
        study_folder(study, "outputs")


def test_an_existing_study_is_found(tmp_path):
    (tmp_path / "mine").mkdir()
    assert existing_study("mine", str(tmp_path)) == tmp_path / "mine"


def test_what_is_not_there_is_told_with_what_is(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=f"no study 'c' at {tmp_path}/c; in {tmp_path} there are a, b$"):
        existing_study("c", str(tmp_path))
    with pytest.raises(ValueError, match=f"study=NAME must say which study; in {tmp_path} there are a, b$"):
        existing_study(None, str(tmp_path))
    with pytest.raises(ValueError, match=f"there is none in {tmp_path}/nowhere"):
        existing_study("c", str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("study", "outputs", "kind", "overrides"),
    [
        ("mine", "outputs", "sqlite", "study=mine"),
        ("my own", "/data/nas", "postgres", "'study=my own' outputs=/data/nas storage=postgres"),
        ("$(x)", "outputs", "sqlite", "'study=$(x)'"),
    ],
)
def test_overrides_that_name_a_study_are_quoted_for_a_shell(study, outputs, kind, overrides):
    assert study_overrides(StopConfig(study=study, outputs=outputs, storage=StorageSpec(kind))) == overrides
