"""A study as an object."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest
from matplotlib import pyplot

from nas import Network, Study
from nas.cli import main
from nas.study.summary import StudyReader, open_for_reading
from search_space.architecture import Architecture
from search_space.differences import choices_of

pytestmark = pytest.mark.xdist_group("api")  # one search for all


def test_the_front_is_that_of_the_command(study: Study, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["front", f"study={folder}", "format=json"]) == 0
    printed = json.loads(capsys.readouterr().out)["front"]
    front = study.front()
    assert front["trial"].tolist() == [item["trial"] for item in printed]
    assert front["macs"].tolist() == [item["costs"]["macs"] for item in printed]
    assert front["val_accuracy"].tolist() == [item["values"]["val_accuracy"] for item in printed]
    believed = [item["believed"]["values"]["val_accuracy"] for item in printed]
    assert front["val_accuracy_believed"].tolist() == believed
    assert (front["val_accuracy_low"] <= front["val_accuracy_high"]).all()


def test_limits_are_of_one_call(study: Study) -> None:
    whole = study.front()
    most = float(whole["macs"].iloc[0])
    assert study.front(max_macs=most)["macs"].max() <= most
    pd.testing.assert_frame_equal(study.front(), whole)
    assert study.pick("best", max_macs=most).costs["macs"] <= most
    with pytest.raises(ValueError, match=r"a limit must be named max_<cost>, got limits.macs"):
        study.front(macs=3)
    with pytest.raises(ValueError, match=r"macz"):
        study.pick(max_macz=3)


def test_trials_have_a_row_each_and_their_choices(study: Study) -> None:
    trials = study.trials(choices=True)
    assert len(trials) == len(study) == 6
    assert set(trials["state"]) == {"complete"}
    for network, row in zip(study, trials.to_dict("records"), strict=True):
        assert network.number == row["trial"]
        assert network.record is not None
        chosen = choices_of(Architecture.from_json(network.record.candidate.architecture))
        assert {path: row[path] for path in chosen} == chosen
    assert "stem.width" not in study.trials()


def test_status_counts(study: Study) -> None:
    assert study.status()["trials"]["complete"] == 6
    assert repr(study).startswith("Study bars: 6 complete")


def test_plots_are_drawn_on_axes(study: Study) -> None:
    axes = study.plot()
    dominated, front = axes.collections[:2]
    on_front = study.front()
    assert len(dominated.get_offsets()) == 6 - len(on_front)
    drawn = sorted(map(tuple, front.get_offsets().tolist()))
    assert drawn == sorted(on_front[["macs", "val_accuracy"]].itertuples(index=False, name=None))
    assert len(axes.collections) == 2 + len(on_front)  # an interval each
    own = pyplot.figure().subplots()
    assert study.plot("hypervolume", own) is own
    reached = own.lines[0].get_ydata()
    assert list(reached) == sorted(reached)
    assert reached[-1] == pytest.approx(study.status()["hypervolume"])
    pyplot.close("all")
    with pytest.raises(ValueError, match=r"kind must be one of front, hypervolume"):
        study.plot("frnt")


def test_a_study_follows_its_database(study: Study, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(study.folder, copy)
    seen = Study(copy)
    assert len(seen) == 6
    words = [f"study={copy}", "data=tensors", f"data.path={study.folder / 'data'}", "limits.max_macs=200000"]
    recipe = ["training.epochs=1", "training.batch_size=16", "sampler=random", "workers.slots=1", "tracking=none"]
    assert main(["search", *words, *recipe, "budget.trials=7"]) == 0
    assert len(seen) == 7
    assert isinstance(seen[6], Network)


def test_what_is_stored_while_a_study_is_opened_is_seen(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(study.folder, copy)
    with closing(sqlite3.connect(copy / "study.db")) as connection, connection:
        connection.execute("DELETE FROM trials WHERE number = 5")

    def opened_late(folder: Path, kind: str) -> StudyReader:
        reader = open_for_reading(folder, kind)
        shutil.copyfile(study.folder / "study.db", folder / "study.db")
        return reader

    monkeypatch.setattr("nas.api.study.open_for_reading", opened_late)
    assert len(Study(copy)) == 6


def test_what_is_not_there_is_told(study: Study, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no study 'bar' at .*; in .* there are bars"):
        Study("bar", outputs=study.folder.parent)
    with pytest.raises(ValueError, match=r"a trial must be one of the 6 in bars, got 17"):
        study[17]
    with pytest.raises(ValueError, match=r"front\(\) has all networks of the front"):
        study.pick("front")


def test_html_is_escaped(study: Study, tmp_path: Path) -> None:
    shutil.copytree(study.folder, tmp_path / "<b>x<b>")
    assert "<b>x" not in Study(tmp_path / "<b>x<b>")._repr_html_()
    assert "<b>x" not in Study(tmp_path / "<b>x<b>").pick()._repr_html_().replace("<p><b>", "<p>")
