"""Overview of a study: state, share done, time left, best and knee, with and without live progress."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from engine import FakeExecutor, Setting, failing

from nas.cli.status import status_document, status_rows
from nas.config.budget import Budget
from nas.objectives.limits import Limits
from nas.reports.status import lines_within, status_table
from nas.study.live import LIVE_FILE
from nas.study.overview import END, overview, stored_budget, study_state
from nas.study.selection import pick_records
from nas.study.study import open_study
from nas.study.summary import open_for_reading


def read(folder):
    return open_for_reading(folder)


def test_a_finished_study_is_done(tmp_path):
    Setting(budget=Budget(trials=6)).run(tmp_path, FakeExecutor(2))
    reader = read(tmp_path)
    found = overview(reader.study, reader.records, driven=False)
    assert (found["state"], found["share_done"], found["seconds_left"], found["running"]) == ("finished", 1.0, 0.0, [])
    for pick in ("best", "knee"):
        (record,) = pick_records(reader.records, reader.study.believer, pick, Limits())
        assert found[pick] == {
            "trial": record.number,
            "values": dict(record.values or {}),
            "summary": record.candidate.summary,
        }


def test_a_stopped_study_says_what_is_left(tmp_path):
    Setting(budget=Budget(trials=3)).run(tmp_path, FakeExecutor(1))
    study = open_study(tmp_path)
    study.set_attribute("budget", asdict(Budget(trials=6)))
    study.set_attribute("config", {"workers": {"slots": 2}})
    study.close()
    reader = read(tmp_path)
    found = overview(reader.study, reader.records, driven=False)
    seconds = sum(record.seconds for record in reader.records) / 3
    assert found["state"] == "stopped"
    assert found["seconds_left"] == pytest.approx(seconds / 2 + seconds)
    assert 0 < found["share_done"] < 1


@pytest.mark.parametrize("config", [None, [], {"workers": 3}, {"workers": {"slots": "x"}}])
def test_damaged_settings_count_as_one_slot(tmp_path, config):
    Setting(budget=Budget(trials=3)).run(tmp_path, FakeExecutor(1))
    study = open_study(tmp_path)
    study.set_attribute("budget", asdict(Budget(trials=6)))
    study.set_attribute("config", config)
    study.close()
    reader = read(tmp_path)
    assert 0 < overview(reader.study, reader.records, driven=False)["share_done"] < 1


def test_an_empty_study_has_an_overview(tmp_path):
    study = Setting().study(tmp_path)
    found = overview(study, [], driven=False)
    assert found == {
        "state": "stopped",
        "share_done": None,
        "seconds_left": None,
        "best": None,
        "knee": None,
        "running": [],
    }


@pytest.mark.parametrize(
    ("end", "state"),
    [("budget", "finished"), ("converged", "finished"), ("exhausted", "finished"), ("minutes", "finished"),
     ("interrupted", "stopped"), ("stopped", "stopped"), (7, "stopped"), (None, "stopped")],
)  # fmt: skip
def test_the_reason_of_the_end_decides(end, state):
    assert study_state(end, [], Budget(trials=5)) == state


def test_a_budget_of_another_version_is_read_as_far_as_it_is_one():
    assert stored_budget({"trials": 5, "new": 1}) == Budget(trials=5)
    for document in (None, [], {"trials": -1}, {"trials": "x"}):
        assert stored_budget(document) is None


def test_live_progress_counts_only_while_the_study_is_driven(tmp_path):
    Setting(budget=Budget(trials=3)).run(tmp_path)
    job = {"slot": 0, "trial": 9, "epoch": 1, "to_epoch": 2, "epochs": 3, "summary": "3:8", "curve": {}}
    live = {"format": 1, "seconds_left": 12.5, "share_done": 0.25, "running": [job]}
    (tmp_path / LIVE_FILE).write_text(json.dumps(live))
    reader = read(tmp_path)
    assert overview(reader.study, reader.records, driven=False)["running"] == []
    found = overview(reader.study, reader.records, driven=True)
    assert (found["state"], found["seconds_left"], found["share_done"]) == ("running", 12.5, 0.25)
    assert found["running"] == [job]


def test_the_status_shows_the_important_lines_first_and_keeps_to_a_height(tmp_path):
    Setting(budget=Budget(trials=6)).run(tmp_path, FakeExecutor(2, failing((1, 2))))
    document = status_document(read(tmp_path))
    assert document["trials"]["failed"] == 1
    shown = lines_within(status_table(document), 60, 4).split("\n")
    assert len(shown) == 4
    assert "finished" in shown[0]
    assert "100%" in shown[1]
    assert "6/6 trials" in shown[1]
    assert [line.split("  ")[0].split("m")[-1] for line in shown[2:]] == ["best", "knee"]
    whole = lines_within(status_table(document), 200, 100)
    assert "Network: the stem" in whole
    assert "Frozen" not in whole
    header, row = status_rows(document)
    assert len(header) == len(row)
    assert "best.values.macs" in header
    assert not any(isinstance(cell, list | dict) for cell in row)


def test_the_driver_stores_nothing_of_the_end_by_itself(tmp_path):
    Setting().run(tmp_path)
    assert read(tmp_path).study.attribute(END) is None
