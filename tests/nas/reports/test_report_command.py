"""`nas report`: the file, the printed path, and the settings and results that the report takes from the folder."""

from __future__ import annotations

import errno
import json
import shutil
import sqlite3

import pytest
import yaml

from nas.cli import main


@pytest.fixture(scope="module")
def searched(make_study):
    """Write a study's folder as a search leaves it."""
    folder = make_study(trials=6).folder
    settings = {
        "study": None,
        "outputs": "outputs",
        "seed": 5,
        "format": "table",
        "sampler": {"name": "known_cost", "module": "known_cost", "options": {}},
        "limits": {"max_params": None, "max_macs": 1500000, "max_memory_mib": None},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    (folder / "environment.json").write_text(json.dumps({"processor": "Abacus 9000", "cores": 2, "gpus": []}))
    return folder


def document(html):
    """Return the document that the page contains."""
    return json.loads(html.partition('<script type="application/json" id="data">')[2].partition("</script>")[0])


def content(folder):
    """Return all statements that recreate the study's database."""
    with sqlite3.connect(f"file:{folder / 'study.db'}?mode=ro", uri=True) as connection:
        return list(connection.iterdump())


def test_it_writes_beside_the_study_and_prints_the_path(searched, capsys):
    before = content(searched)
    assert main(["report", f"study={searched.name}", f"outputs={searched.parent}"]) == 0
    path = searched / "report.html"
    assert capsys.readouterr().out == f"{path}\n"
    html = path.read_text(encoding="utf-8")
    assert "Abacus 9000, 2 cores, no GPU" in html
    assert "known_cost, seed 5" in html
    command = f"nas search study={searched.name} outputs={searched.parent} seed=5 limits.max_macs=1500000"
    data = document(html)
    assert data["on"]["command"] == command
    assert data["commands"]["retrain"] == f"nas retrain study={searched.name} outputs={searched.parent} pick="
    assert f"<code>nas search study=again outputs={searched.parent} seed=5 limits.max_macs=1500000</code>" in html
    assert content(searched) == before


def test_the_path_can_be_chosen_and_is_one_json_document(searched, tmp_path, capsys):
    path = tmp_path / "new" / "mine.html"
    assert main(["report", f"study={searched}", f"output={path}", "format=json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"study": searched.name, "report": str(path)}
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_it_opens_where_asked_to(searched, tmp_path, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    path = tmp_path / "r.html"
    assert main(["report", f"study={searched}", f"output={path}", "open=true"]) == 0
    assert opened == [path.as_uri()]


def test_retrained_networks_are_told_with_their_spread(searched, tmp_path):
    folder = tmp_path / "retrained"
    shutil.copytree(searched, folder)
    seeds = [{"seed": 0}, {"seed": 1}, {"seed": 2}]
    result = {
        "trial": 3,
        "summary": "conv:8 <b>[5:16]</b>",
        "costs": {"params": 12345, "macs": 678901},
        "values": {"val_accuracy": 0.75},
        "training": {"epochs": 40},
        "test_accuracy": {"mean": 0.8125, "sd": 0.0125, "n": 3},
        "test_balanced_accuracy": {"mean": 0.8, "sd": 0.0125, "n": 3},
        "val_accuracy": {"mean": 0.8, "sd": None, "n": 1},
        "seeds": seeds,
    }
    for trial, done in ((3, seeds), (4, [])):
        (folder / "retrain" / str(trial)).mkdir(parents=True)
        (folder / "retrain" / str(trial) / "result.json").write_text(
            json.dumps({**result, "trial": trial, "seeds": done})
        )
    baseline = {key: value for key, value in result.items() if key != "trial"} | {"baseline": "resnet20", "width": 0.2}
    (folder / "retrain" / "baselines" / "resnet20-0.2").mkdir(parents=True)
    (folder / "retrain" / "baselines" / "resnet20-0.2" / "result.json").write_text(json.dumps(baseline))
    assert main(["report", f"study={folder}"]) == 0
    html = (folder / "report.html").read_text(encoding="utf-8")
    (told,) = document(html)["baselines"]
    assert (told["name"], told["costs"]["macs"], told["test"]["n"], told["epochs"]) == ("resnet20", 678901, 3, 40)
    retrained = document(html)["retrained"]
    assert list(retrained) == ["3"]
    test = retrained["3"]["test"]
    assert (test["mean"], test["std"], test["n"], retrained["3"]["epochs"]) == (0.8125, 0.0125, 3, 40)
    assert test["interval"][0] < 0.8125 < test["interval"][1]
    assert (retrained["3"]["val"]["std"], retrained["3"]["val"]["interval"]) == (None, None)


def test_a_study_alone_is_enough(searched, tmp_path, capsys):
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("study.db", "study.db-wal", "study.db-shm"):
        if (searched / name).exists():
            shutil.copy(searched / name, copy)
    assert main(["report", f"study={copy}"]) == 0
    assert "nas search" not in (copy / "report.html").read_text(encoding="utf-8")


def test_no_such_study_is_one_line(tmp_path, capsys):
    assert main(["report", "study=none", f"outputs={tmp_path}"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("nas report: no study 'none'")


def test_a_folder_that_cannot_be_written_to_is_said_with_the_way_out(searched, monkeypatch, capsys):
    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("nas.cli.report.write_text", refuse)
    assert main(["report", f"study={searched}"]) == 2
    law = f"nas report: {searched} must be a folder that can be written to, it is not: set output=FILE.html\n"
    assert capsys.readouterr().err.endswith(law)
    assert main(["report", f"study={searched}", "output=other.html"]) == 2
    assert capsys.readouterr().err.endswith("nas report: Permission denied: other.html\n")
