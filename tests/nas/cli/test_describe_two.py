"""`nas describe architecture=A,B`: what differs between two networks."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from nas.cli import main
from nas.study.architectures import Studies
from nas.study.comparison import Subjects
from search_space.differences import differences

GOLDEN = Path(__file__).parents[2] / "golden" / "studies"


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    shutil.copytree(GOLDEN / "repeated", tmp_path / "mine")
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], outputs: Path, *words: str) -> str:
    assert main(["describe", f"outputs={outputs}", *words]) == 0
    return capsys.readouterr().out


def test_two_trials_are_compared_in_words_costs_and_accuracy(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document: dict[str, Any] = json.loads(printed(capsys, outputs, "architecture=mine:0,mine:1", "format=json"))
    subjects = Subjects(Studies(str(outputs)))
    before, after = subjects.named("mine:0"), subjects.named("mine:1")
    subjects.close()
    assert before.record is not None
    assert after.record is not None
    found = differences(before.architecture, after.architecture)
    assert [change["text"] for change in document["changes"]] == [change.text() for change in found] != []
    macs, records = document["costs"]["macs"], (before.record, after.record)
    assert [macs["before"], macs["after"]] == [record.candidate.costs["macs"] for record in records]
    assert macs["percent"] == pytest.approx(100 * (macs["after"] / macs["before"] - 1))
    measured = [(record.values or {})["val_accuracy"] for record in records]
    assert document["objectives"]["val_accuracy"]["difference"] == pytest.approx(measured[1] - measured[0])


def test_the_table_and_the_rows_hold_the_changes(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = printed(capsys, outputs, "architecture=mine:0,mine:1")
    rows = list(csv.reader(io.StringIO(printed(capsys, outputs, "architecture=mine:0,mine:1", "format=csv"))))
    assert rows[0] == ["path", "before", "after"]
    assert "validation accuracy: −6.8 points\n" in table
    document = json.loads(printed(capsys, outputs, "architecture=mine:0,mine:1", "format=json"))
    assert all(change["text"] in table for change in document["changes"])
    assert [row[0] for row in rows[1:]] == [
        *(change["path"] for change in document["changes"]),
        *(f"costs.{name}" for name in document["costs"]),
    ]


def test_both_are_drawn_side_by_side(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed(capsys, outputs, "architecture=mine:0,mine:1", f"svg={outputs / 'diff.svg'}")
    root = ElementTree.fromstring((outputs / "diff.svg").read_text())
    assert len(root.findall("{http://www.w3.org/2000/svg}svg")) == 2


def test_a_file_and_a_trial_are_compared_without_an_accuracy(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = json.loads(printed(capsys, outputs, "architecture=mine:0,mine:0", "format=json"))
    assert trial["changes"] == []
    assert trial["objectives"]["val_accuracy"]["difference"] == 0
    assert "no choice differs" in printed(capsys, outputs, "architecture=mine:0,mine:0")
    subjects = Subjects(Studies(str(outputs)))
    file = outputs / "one.json"
    file.write_text(json.dumps(subjects.named("mine:1").architecture.to_json()))
    subjects.close()
    document = json.loads(printed(capsys, outputs, f"architecture={file},mine:1", "format=json"))
    assert (document["changes"], document["objectives"]) == ([], {})


@pytest.mark.parametrize(
    ("words", "law"),
    [
        (["architecture=mine:0,mine:1,mine:2"], "must be one network, or two with a comma between them"),
        (["architecture=mine:0,"], "must be one network, or two with a comma between them"),
        (["architecture=mine:0,nothing"], "must be a JSON file or a trial as STUDY:NUMBER, got 'nothing'"),
        (["architecture=mine:0,mine:99"], "a trial must be one of"),
        (["architecture=mine:0,other:1"], "no study 'other'"),
        (["architecture=mine:0,mine:1", "rewrite=stack"], "rewrite is of one network"),
    ],
)
def test_mistakes_are_told_in_a_line(
    outputs: Path, words: list[str], law: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["describe", f"outputs={outputs}", *words]) == 2
    assert law in capsys.readouterr().err
