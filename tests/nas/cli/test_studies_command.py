"""`nas studies` and `nas compare`: what they print, and the mistakes that they name."""

from __future__ import annotations

import csv
import io
import json

import pytest
from engine import FakeExecutor, Setting

from nas.cli import main
from nas.cli.app.completion import completed_studies, study_names
from nas.config.budget import Budget


@pytest.fixture
def outputs(tmp_path):
    Setting(budget=Budget(trials=3)).run(tmp_path / "good", FakeExecutor(2))
    Setting(seed=1, budget=Budget(trials=3)).run(tmp_path / "better", FakeExecutor(2))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.db").write_text("no database")
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "config.yaml").write_text("storage: {kind: postgres}\n")
    (tmp_path / "nothing").mkdir()
    return tmp_path


def printed(capsys, *words):
    assert main(words) == 0
    return capsys.readouterr().out


def test_every_study_of_a_folder_is_listed(outputs, capsys):
    document = json.loads(printed(capsys, "studies", f"outputs={outputs}", "format=json"))
    studies = {study["study"]: study for study in document["studies"]}
    assert set(studies) == {"good", "better", "broken", "far"}
    assert studies["good"]["state"] == "finished"
    assert (studies["good"]["trials"], studies["good"]["budget_trials"]) == (3, 3)
    assert studies["good"]["best"]["values"].keys() == {"val_accuracy", "macs"}
    assert 0 < studies["good"]["hypervolume"] < 1
    assert studies["broken"]["state"] == "broken"
    assert studies["broken"]["error"]
    assert studies["far"]["state"] == "in another database"
    ages = [study["age_seconds"] for study in document["studies"]]
    assert ages == sorted(ages)
    header, *rows = csv.reader(io.StringIO(printed(capsys, "studies", f"outputs={outputs}", "format=csv")))
    assert {len(row) for row in rows} == {len(header)}
    assert {"study", "state", "hypervolume", "best_trial", "best_macs"} <= set(header)
    table = printed(capsys, "studies", f"outputs={outputs}")
    assert "finished" in table
    assert "3/3" in table


def test_an_empty_folder_says_so_and_a_missing_one_is_a_mistake(tmp_path, capsys):
    assert "no studies in" in printed(capsys, "studies", f"outputs={tmp_path}")
    assert main(["studies", f"outputs={tmp_path / 'absent'}"]) == 2
    assert "outputs must be a folder of studies" in capsys.readouterr().err


def test_two_studies_are_compared(outputs, capsys, tmp_path):
    picture = tmp_path / "compare.svg"
    words = ["compare", "good", "better", f"outputs={outputs}", f"output={picture}"]
    document = json.loads(printed(capsys, *words, "format=json"))
    assert document["studies"] == ["good", "better"]
    assert picture.read_text().count("<svg") == 1
    header, *rows = csv.reader(io.StringIO(printed(capsys, *words, "format=csv")))
    assert header == ["group", "seeds", "measure", "amount", "mean", "low", "high"]
    assert {row[0] for row in rows} == {"good", "better"}
    assert "Joint front" in printed(capsys, *words)


@pytest.mark.parametrize(
    ("words", "law"),
    [
        (["good"], "two studies at least must be named, as in nas compare A B, got 1"),
        (["good", "good"], "two studies at least must be named, as in nas compare A B, got 1"),
        (["good", "absent"], "no study 'absent'"),
        (["good", "better", "output=x.gif"], "output must be a picture of png, svg, pdf, got 'x.gif'"),
    ],
)
def test_mistakes_of_a_comparison(outputs, capsys, words, law):
    assert main(["compare", *words, f"outputs={outputs}"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert law in said


def test_studies_are_completed_by_name(outputs):
    def complete(line):
        return completed_studies(line.split(), started=not line.endswith(" "))

    place = f"outputs={outputs}"
    assert study_names(str(outputs)) == ["better", "broken", "far", "good"]
    assert study_names(str(outputs / "absent")) == []
    assert complete(f"nas front {place} study=") == [f"study={name}" for name in study_names(str(outputs))]
    assert complete(f"nas front {place} study=g") == ["study=good"]
    assert complete(f"nas compare {place} good b") == ["better", "broken"]
    assert complete(f"nas compare {place} good ") == ["better", "broken", "far"]
    assert complete(f"nas compare {place} output=") is None
    assert complete(f"nas front {place} ") is None
    assert complete("nas front study=x") == []


def test_a_front_of_a_pick_is_one_network(outputs, capsys):
    name = ["study=good", f"outputs={outputs}", "format=json"]
    whole = json.loads(printed(capsys, "front", *name))["front"]
    for pick in ("best", "knee", str(whole[0]["trial"])):
        (item,) = json.loads(printed(capsys, "front", *name, f"pick={pick}"))["front"]
        assert item in whole
    best = max(whole, key=lambda item: item["values"]["val_accuracy"])
    assert json.loads(printed(capsys, "front", *name, "pick=best"))["front"] == [best]
    limit = min(item["costs"]["macs"] for item in whole)
    (cheap,) = json.loads(printed(capsys, "front", *name, "pick=best", f"limits.max_macs={limit}"))["front"]
    assert cheap["costs"]["macs"] == limit
    assert main(["front", *name, "pick=99"]) == 2
    assert "pick must be one of the 3 trials" in capsys.readouterr().err


def test_limits_that_no_network_meets_name_the_nearest(outputs, capsys):
    name = ["study=good", f"outputs={outputs}"]
    whole = json.loads(printed(capsys, "front", *name, "format=json"))["front"]
    least = min(item["costs"]["macs"] for item in whole)
    assert json.loads(printed(capsys, "front", *name, "format=json", f"limits.max_macs={least}"))["front"] == whole[:1]
    assert main(["front", *name, "limits.max_macs=1"]) == 2
    said = capsys.readouterr().err
    assert "limits must leave a complete trial to pick, none of 3 meets them; nearest is trial" in said
