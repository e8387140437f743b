"""Live progress in a file of the study's folder."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from engine import TWO, FakeExecutor, Setting, curve

from nas.reports.live_file import LiveFile
from nas.study.live import FORMAT, LIVE_FILE, live_document, read_live
from nas.study.progress import Progress, Running
from nas.study.trial import Record


class Reader:
    """An observer that reads the file after each announcement, as others would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[dict] = []

    def on_progress(self, progress: Progress) -> None:
        found = read_live(self.folder)
        assert found is not None
        self.seen.append(found)

    def on_trial(self, record: Record, progress: Progress) -> None:
        pass

    def on_end(self, progress: Progress, reason: str) -> None:
        assert read_live(self.folder) is None


def test_a_search_writes_its_progress_and_removes_it_at_the_end(tmp_path):
    clock = iter(range(10_000))
    reader = Reader(tmp_path)
    observers = [LiveFile(tmp_path, lambda: float(next(clock))), reader]
    Setting(observers=observers).run(tmp_path, FakeExecutor(2))
    assert not list(tmp_path.glob("*.json*")) + list(tmp_path.glob(".live*"))
    last = reader.seen[-1]
    assert last["format"] == FORMAT
    assert last["counts"]["complete"] > 2
    assert last["best"]["values"].keys() == set(TWO)
    assert 0.9 <= last["share_done"] <= 1.0
    jobs = [job for document in reader.seen for job in document["running"]]
    assert {job["slot"] for job in jobs} == {0, 1}
    assert all(len(job["curve"]["val_accuracy"]) == job["epoch"] for job in jobs)
    assert {"slot", "trial", "epoch", "to_epoch", "epochs", "summary", "curve"} == jobs[0].keys()


def test_it_is_written_at_most_once_a_second(tmp_path, monkeypatch):
    now = [0.0]
    observer = LiveFile(tmp_path, lambda: now[0])
    written = []
    monkeypatch.setattr(LiveFile, "_write", lambda self, text: written.append(json.loads(text)["hypervolume"]))
    for now[0] in (0.0, 0.5, 0.99, 1.0, 1.5, 2.0):
        observer.on_progress(Progress({}, None, [], (), now[0], [], 0.0, 0.0, None))
    assert written == [0.0, 1.0, 2.0]


def test_a_folder_that_cannot_be_written_to_stops_nothing(tmp_path):
    observer = LiveFile(tmp_path / "absent")
    observer.on_progress(Progress({}, None, [], (), 0.0, [], 0.0, 0.0, None))
    observer.on_end(Progress({}, None, [], (), 0.0, [], 0.0, 0.0, None), "budget")


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", "\xff", '{"format": 99, "running": []}', '{"format": 1}', '{"format": 1, "running": 3}'),
        *(f'{{"format": 1, "running": [], "hypervolume": {number}}}' for number in ("NaN", "1e999")),
    ],
)
def test_what_is_no_progress_counts_as_none(tmp_path, text):
    (tmp_path / LIVE_FILE).write_text(text, encoding="latin-1")
    assert read_live(tmp_path) is None


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path):
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / LIVE_FILE).symlink_to(target)
    observer = LiveFile(tmp_path)
    observer.on_progress(Progress({}, None, [], (), 0.0, [], 0.0, 0.0, None))
    assert target.read_text() == "mine"
    assert read_live(tmp_path) is not None
    assert not (tmp_path / LIVE_FILE).is_symlink()


def test_numbers_that_are_none_are_null(tmp_path):
    row = replace(curve(1)[0], val_loss=math.inf, val_accuracy=None)
    jobs = [Running(1, 1, 2, "3:8", 2, 0, (row,))]
    document = live_document(Progress({}, None, [], (), 0.0, jobs, 0.0, 0.0, None), 0.0)
    assert document["running"][0]["curve"]["val_loss"] == [None]
    json.dumps(document, allow_nan=False)
