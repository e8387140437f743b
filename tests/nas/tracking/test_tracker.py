"""Choice of a tracker by its name, and a toy tracker from a module outside the project."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from engine import Setting

from nas.cli.app.compose import compose
from nas.config.budget import Budget
from nas.config.tracking import TrackingSpec
from nas.search.build import prepare
from nas.tracking.tracker import TRACKER, check_tracker, open_tracker
from search_space.plugins import TRUSTED, PluginError

TOY = '''
"""Tracker that appends a line for each event to a file."""

import json


class Lines:
    def __init__(self, file):
        self.file = file

    def write(self, **event):
        self.file.write(json.dumps(event) + "\\n")

    def on_progress(self, progress):
        pass

    def on_trial(self, record, progress):
        self.write(trial=record.number, state=record.state)

    def on_end(self, progress, reason):
        self.write(ended=reason)

    def close(self):
        self.file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def make(spec, study, circumstances, file="lines.jsonl"):
    tracker = Lines((study.folder / file).open("w"))
    tracker.write(study=study.name, circumstances=circumstances)
    return tracker


def broken(spec, study, circumstances):
    return object()


constant = 3
'''


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Write an importable module with a tracker and return its name."""
    monkeypatch.setenv(TRUSTED, "")
    (tmp_path / "toy_tracker.py").write_text(TOY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "toy_tracker", raising=False)
    return "toy_tracker"


def test_our_own_trackers_are_found_by_their_modules() -> None:
    assert TRACKER.names() == ["mlflow", "none", "tensorboard", "wandb"]
    for name in TRACKER.names():
        check_tracker(TrackingSpec(name=name))


def test_a_tracker_from_outside_records_a_search(toy: str, tmp_path: Path) -> None:
    spec = TrackingSpec(name=f"{toy}.make", options={"file": "toy.jsonl"})
    setting = Setting(budget=Budget(trials=2))
    study = setting.study(tmp_path / "study")
    with open_tracker(spec, study, {"path": "/home/anna/photos"}) as tracker:
        setting.observers = [tracker]
        assert setting.run(study.folder) == "budget"
    events = [json.loads(line) for line in (study.folder / "toy.jsonl").read_text().splitlines()]
    states = [{"trial": record.number, "state": record.state} for record in study.records()]
    assert events == [{"study": study.name, "circumstances": {"path": "photos"}}, *states, {"ended": "budget"}]
    assert tracker.file.closed


@pytest.mark.parametrize(
    ("name", "options", "law"),
    [
        (
            "comet",
            {},
            r"tracking\.name must be one of mlflow, none, tensorboard, wandb, or a dotted .* got 'comet'",
        ),
        ("no_such_module.make", {}, r"tracking\.name must be importable, got 'no_such_module\.make'"),
        ("toy_tracker.missing", {}, r"tracking\.name must name something in its module, .* has no 'missing'"),
        ("toy_tracker.constant", {}, r"tracking\.name must name something that can be called"),
        ("toy_tracker.make", {"folder": "x"}, r"toy_tracker\.make takes \['file'\], got \['folder'\]"),
        ("wandb", {"folder": "x"}, r"wandb takes \[\], got \['folder'\]"),
        ("none", {"folder": "x"}, r"none takes \[\], got \['folder'\]"),
    ],
)
def test_a_wrong_name_or_option_is_refused_before_anything_is_written(
    toy: str, name: str, options: dict[str, str], law: str
) -> None:
    overrides = [f"tracking.name={name}", *(f"+tracking.options.{key}={value}" for key, value in options.items())]
    config = compose("search", overrides)
    assert config.tracking == TrackingSpec(name=name, options=options)
    with pytest.raises(PluginError, match=law):
        prepare(config)


def test_an_object_that_is_no_tracker_is_refused(toy: str, tmp_path: Path) -> None:
    study = Setting(budget=Budget(trials=2)).study(tmp_path / "study")
    with pytest.raises(PluginError, match=r"must name a function that returns a Tracker .*\.broken returned object"):
        open_tracker(TrackingSpec(name=f"{toy}.broken"), study, {})
