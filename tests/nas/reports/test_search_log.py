"""Log of a study's searches: an event a line with its time, appended by every run, without secrets."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest
from engine import FakeExecutor, Setting, failing

from nas.config.budget import Budget
from nas.reports.search_log import LOG_FILE, SearchLog, without_secrets

WORDS = ["nas search", "study=a", "storage.url=postgresql://anna:s3cret@db/nas"]


def lines_of(folder: Path) -> list[str]:
    return (folder / LOG_FILE).read_text().splitlines()


def searched(folder: Path, setting: Setting, executor: FakeExecutor | None = None) -> None:
    with SearchLog(folder, WORDS, lambda: "2026-01-01T00:00:00+00:00") as log:
        replace(setting, observers=[log]).run(folder, executor or FakeExecutor(2))


def test_every_event_has_its_line_and_a_resumed_search_goes_on_with_them(tmp_path):
    searched(tmp_path, Setting(budget=Budget(trials=3)), FakeExecutor(2, failing((1, 2))))
    first = lines_of(tmp_path)
    assert all(line.startswith("2026-01-01T00:00:00+00:00 ") for line in first)
    events = [line.split(" ", 1)[1] for line in first]
    assert events[0].startswith("start: nas ")
    assert events[0].endswith("nas search study=a storage.url=postgresql://db/nas")
    assert events[1].startswith("begin | trials 0/3")
    assert [event.split(":")[0][:16] for event in events if event.startswith("trial 0")] == ["trial 0 complete"]
    (failed,) = [event for event in events if event.startswith("trial 1")]
    assert failed.startswith("trial 1 failed (nan): the training loss must stay finite, got nan: ")
    assert events[-1].startswith("end: the budget is used up | trials 3/3 · failed 1")
    searched(tmp_path, Setting(budget=Budget(trials=5)))
    both = lines_of(tmp_path)
    assert both[: len(first)] == first
    assert "resume | trials 3/5" in both[len(first) + 1]


def test_what_the_program_logs_is_in_it_on_one_line(tmp_path):
    with SearchLog(tmp_path, WORDS):
        logging.getLogger("nas.search").warning("trial %d\nis odd, %s", 3, "password=1234")
        logging.getLogger("other").warning("not this")
    logging.getLogger("nas.search").warning("nor this")
    (line,) = [line for line in lines_of(tmp_path) if "odd" in line]
    assert line.endswith(" warning: trial 3 is odd, password=***")
    assert "this" not in " ".join(lines_of(tmp_path))


def test_a_stop_is_an_event(tmp_path):
    with SearchLog(tmp_path, WORDS) as log:
        search = replace(Setting(), observers=[log]).search(tmp_path, FakeExecutor(2))
        search.stop("stopped")
        search.run()
    events = [line.split(" ", 1)[1] for line in lines_of(tmp_path)]
    assert [event.split(":")[0] for event in events if event.startswith(("stop", "end"))] == ["stop", "end"]


def test_the_log_follows_no_link_and_stops_nothing(tmp_path):
    (tmp_path / "mine").write_text("mine\n")
    (tmp_path / LOG_FILE).symlink_to(tmp_path / "mine")
    searched(tmp_path, Setting(budget=Budget(trials=1)))
    assert (tmp_path / "mine").read_text() == "mine\n"
    with SearchLog(tmp_path / "absent", WORDS) as log:
        assert log is not None
    assert not (tmp_path / "absent").exists()


def test_a_full_disk_stops_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with SearchLog(tmp_path, WORDS) as log, monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        log.emit(logging.LogRecord("nas", logging.INFO, "", 0, "lost", (), None))
    assert "lost" not in " ".join(lines_of(tmp_path))


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("url=postgresql://a:b@h/n", "url=postgresql://h/n"),
        ("url=postgresql://a:b@c@h/n", "url=postgresql://h/n"),
        ("tracking.api_key=1 seed=2", "tracking.api_key=*** seed=2"),
        ("url=postgresql://h/n?password=x&user=a", "url=postgresql://h/n?password=***&user=a"),
        ("WANDB_TOKEN: abc", "WANDB_TOKEN: ***"),
        ("seed=3 study=keys", "seed=3 study=keys"),
    ],
)
def test_secrets_are_left_out(text, safe):
    assert without_secrets(text) == safe
