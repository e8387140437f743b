"""Dashboard: a copy that follows the study, drawings and notes, and the guard that answers only local reads."""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
import threading
import urllib.error
import urllib.request
from importlib.util import find_spec

import pytest
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.trial import TrialState

import nas.reports.dashboard
from nas.cli import main
from nas.reports.dashboard import StudyCopy, dashboard_server, guard
from nas.reports.dashboard_plot import PREFIX
from nas.study.training_state import TrainingState

needs_dashboard = pytest.mark.skipif(
    find_spec("optuna_dashboard") is None, reason="needs the extra: pip install 'inception-nas[dashboard]'"
)


@pytest.fixture
def study(make_study):
    return make_study(trials=8, message="no `memory`\n# left")


def content(folder):
    with sqlite3.connect(f"file:{folder / 'study.db'}?mode=ro", uri=True) as connection:
        return list(connection.iterdump())


def trials(copy):
    return copy.storage.get_all_trials(copy.storage.get_study_id_from_name("invented"))


def test_the_copy_is_the_study(study):
    before = content(study.folder)
    copied = trials(StudyCopy(study, "study=invented"))
    assert content(study.folder) == before
    assert [trial.state.name for trial in copied] == [
        {"complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL", "running": "WAITING"}[record.state]
        for record in study.records()
    ]
    for trial, record in zip(copied, study.records(), strict=True):
        assert trial.params == record.candidate.params
        assert trial.user_attrs["network"] == record.candidate.summary
        if record.values:
            assert trial.values == [record.values["val_accuracy"], record.values["macs"]]
            assert trial.datetime_complete is not None
    assert copied[4].user_attrs["failure"].startswith("out_of_memory: ")


def test_every_trial_has_its_drawing(study):
    copy = StudyCopy(study, "study=invented")
    for trial in trials(copy):
        (meta,) = [json.loads(value) for key, value in trial.system_attrs.items() if key.startswith("artifacts:")]
        assert meta["mimetype"] == "image/svg+xml"
        assert copy.drawings.open_reader(meta["artifact_id"]).read().startswith(b"<svg")
    with pytest.raises(ArtifactNotFound, match="must be the drawing of a trial"):
        copy.drawings.open_reader("0")
    with pytest.raises(PermissionError, match="read-only, got a write of 0"):
        copy.drawings.write("0", None)
    with pytest.raises(PermissionError, match="read-only, got a removal of 0"):
        copy.drawings.remove("0")


def test_frozen_trials_wait(study, monkeypatch):
    copy = StudyCopy(study, "study=invented")
    assert (trials(copy)[7].state, trials(copy)[7].user_attrs["state"]) == (TrialState.WAITING, "frozen")
    assert "state: `frozen`" in copy.storage.get_study_system_attrs(0)["dashboard:7:note_str:0"]
    monkeypatch.setattr(study, "is_driven", lambda: True)
    copy.follow()
    assert (trials(copy)[7].state, trials(copy)[7].user_attrs["state"]) == (TrialState.RUNNING, "running")
    study.store_training(7, study.records()[7].curve, TrainingState(attempt=1, frozen=True))
    copy.follow()
    assert trials(copy)[7].state == TrialState.WAITING
    study.prune(7)
    copy.follow()
    assert trials(copy)[7].state == TrialState.PRUNED


def figure(copy):
    stored = copy.storage.get_study_system_attrs(0)
    parts = {int(key.rpartition(":")[2]): part for key, part in stored.items() if key.startswith(PREFIX)}
    assert all(len(part) <= 2045 for part in parts.values())
    return json.loads("".join(parts[place] for place in range(len(parts))))


def test_the_front_has_a_figure_with_logarithmic_axes(study):
    copy = StudyCopy(study, "study=invented")
    drawn, complete = figure(copy), [record for record in study.records() if record.values]
    assert (drawn["layout"]["xaxis"]["type"], drawn["layout"]["yaxis"]["type"]) == ("log", "log")
    assert drawn["layout"]["yaxis"]["title"]["text"] == "validation error"
    assert sum(len(trace["x"]) for trace in drawn["data"]) == len(complete)
    front = study.believer.front(study.records())
    assert drawn["data"][1]["text"] == [f"trial {record.number}" for record in sorted(front, key=lambda r: r.number)]
    assert drawn["data"][1]["y"][0] == pytest.approx(
        1 - next(r for r in complete if f"trial {r.number}" == drawn["data"][1]["text"][0]).values["val_accuracy"]
    )
    study.tell(7, {"val_accuracy": 0.999, "macs": study.records()[7].candidate.costs["macs"]})
    copy.follow()
    assert sum(len(trace["x"]) for trace in figure(copy)["data"]) == len(complete) + 1


def test_it_follows_the_study(study, monkeypatch):
    monkeypatch.setattr(study, "is_driven", lambda: True)
    copy = StudyCopy(study, "study=invented")
    assert trials(copy)[7].state == TrialState.RUNNING
    record = study.records()[7]
    study.tell(7, {"val_accuracy": 0.875, "macs": record.candidate.costs["macs"]})
    number = study.add(record.candidate)
    copy.follow()
    assert trials(copy)[7].state == TrialState.COMPLETE
    assert trials(copy)[7].values[0] == 0.875
    assert (len(trials(copy)), trials(copy)[number].state) == (9, TrialState.RUNNING)
    copy.follow()
    assert len(trials(copy)) == 9


def test_a_note_reads_and_holds_no_markup_of_the_study(study):
    copied = StudyCopy(study, "study=invented")
    notes = copied.storage.get_study_system_attrs(0)
    assert f"`{study.records()[0].candidate.summary}`" in notes["dashboard:0:note_str:0"]
    assert "`nas export study=invented pick=0`" in notes["dashboard:0:note_str:0"]
    assert "failure: `out_of_memory: no 'memory' # left`" in notes["dashboard:4:note_str:0"]
    assert "nas retrain" not in notes["dashboard:4:note_str:0"]
    assert "nas report does" in notes["dashboard:note_str:0"]


def answered(application, **environ):
    status = []
    asked = {"REQUEST_METHOD": "GET", "HTTP_HOST": "127.0.0.1:80", "PATH_INFO": "/api/studies", **environ}
    body = b"".join(application(asked, lambda line, headers: status.append(line)))
    return status[0], body


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({}, "200 OK"),
        ({"HTTP_HOST": "localhost:80", "REQUEST_METHOD": "HEAD"}, "200 OK"),
        ({"HTTP_HOST": "evil.example"}, "403 Forbidden"),
        ({"HTTP_HOST": "127.0.0.1:81"}, "403 Forbidden"),
        ({"REQUEST_METHOD": "DELETE"}, "405 Method Not Allowed"),
        ({"REQUEST_METHOD": "PUT"}, "405 Method Not Allowed"),
        ({"REQUEST_METHOD": "POST"}, "405 Method Not Allowed"),
    ],
)
def test_only_readers_on_this_machine_are_answered(environ, status):
    def application(_, start_response):
        start_response("200 OK", [])
        return [b"yes"]

    assert answered(guard(application, 80, lambda: None), **environ)[0] == status


def test_it_looks_at_the_study_now_and_then(monkeypatch):
    now, looked = [100.0], []
    monkeypatch.setattr(nas.reports.dashboard.time, "monotonic", lambda: now[0])

    def application(_, start_response):
        start_response("200 OK", [])
        return []

    guarded = guard(application, 80, lambda: looked.append(now[0]))
    for now[0] in (101.0, 103.5, 104.0, 107.0):
        answered(guarded)
    answered(guarded, PATH_INFO="/static/x.js")
    assert looked == [103.5, 107.0]


def test_without_the_extra_one_line_says_what_to_install(study, monkeypatch, capsys):
    monkeypatch.setattr(nas.reports.dashboard, "find_spec", lambda name: None)
    assert main(["dashboard", f"study={study.folder}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("pip install 'inception-nas[dashboard]'")


def test_a_port_out_of_range_is_one_line(capsys):
    assert main(["dashboard", "study=x", "port=70000"]) == 2
    assert "port must be at most 65535, got 70000" in capsys.readouterr().err


def test_a_taken_port_is_named(study, monkeypatch):
    monkeypatch.setattr(nas.reports.dashboard, "find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "optuna_dashboard", type("fake", (), {"wsgi": None}))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"port must be free on 127.0.0.1, {port} is not"):
            dashboard_server(study, "study=invented", port)


@needs_dashboard
@pytest.mark.filterwarnings("ignore::DeprecationWarning:bottle")
def test_optuna_dashboard_serves_it(study):
    with dashboard_server(study, "study=invented", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            base = f"http://127.0.0.1:{server.server_port}"

            def get(path):
                with urllib.request.urlopen(base + path) as answer:
                    return answer.headers, answer.read()

            detail = json.loads(get("/api/studies/0")[1])
            assert detail["name"] == "invented"
            assert detail["objective_names"] == ["val_accuracy", "macs"]
            assert len(detail["trials"]) == 8
            assert "nas report does" in detail["note"]["body"]
            assert "Edits by the pencils are refused" in detail["note"]["body"]
            assert [each["key"] for each in detail["user_attrs"]] == ["read-only copy", "limits of this page"]
            assert detail["plotly_graph_objects"][0]["id"] == "front"
            assert json.loads(detail["plotly_graph_objects"][0]["graph_object"])["layout"]["xaxis"]["type"] == "log"
            first = detail["trials"][0]
            assert study.records()[0].candidate.summary in first["note"]["body"]
            headers, drawing = get(f"/artifacts/0/0/{first['artifacts'][0]['artifact_id']}")
            assert headers["Content-Type"] == "image/svg+xml"
            assert drawing.startswith(b"<svg")
            request = urllib.request.Request(f"{base}/api/studies/0", method="DELETE")
            with pytest.raises(urllib.error.HTTPError, match="405"):
                urllib.request.urlopen(request)
            assert server.server_address[0] == "127.0.0.1"
        finally:
            server.shutdown()
