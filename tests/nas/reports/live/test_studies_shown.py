"""`nas ui` on studies of every kind: damaged, empty, of one objective, with hostile texts, several, replaced."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path
from urllib.request import urlopen

import pytest
from live_server import BASE, PORT, library, pages, served
from starlette.testclient import TestClient

from nas.reports.live.application import LivePage
from nas.reports.live.feed import Feed
from nas.reports.live.guard import Guard
from nas.study.storage.errors import StorageError
from nas.study.summary import open_for_reading

HOSTILE = "<script>alert(1)</script>"


def test_an_empty_study(make_study) -> None:
    with pages(make_study(trials=0).folder) as viewer:
        document = viewer.get("/api/s/invented/document").json()
        assert (document["trials"], document["front"], document["first"]) == ([], [], None)
        assert document["progress"]["values"] == []
        assert viewer.get("/s/invented").status_code == 200
        assert viewer.get("/api/s/invented/trials/0").status_code == 404


def test_one_objective(make_study) -> None:
    study = make_study(trials=24, objectives=("val_accuracy",))
    with pages(study.folder) as viewer:
        document = viewer.get("/api/s/invented/document").json()
    assert document["single"]
    assert document["progress"]["measure"] == "val_accuracy"
    assert document["costs"][:2] == ["params", "macs"]
    assert len(document["front"]) == 1


def test_costs_alone(make_study) -> None:
    with pages(make_study(trials=6, objectives=("macs", "params")).folder) as viewer:
        document = viewer.get("/api/s/invented/document").json()
    assert (document["x"], document["y"]) == ("params", "macs")


def test_a_damaged_trial_is_left_out(make_study, caplog: pytest.LogCaptureFixture) -> None:
    study = make_study(trials=12)
    study.close()
    with sqlite3.connect(study.folder / "study.db") as connection:
        connection.execute("UPDATE trial_user_attributes SET value_json = '[' WHERE key = 'costs' AND trial_id = 3")
    with pages(study.folder) as viewer:
        document = viewer.get("/api/s/invented/document").json()
        assert [row["n"] for row in document["trials"]] == [0, 1, *range(3, 12)]
        assert viewer.get("/api/s/invented/trials/2").status_code == 404
    assert "trial 2 of invented is damaged and left out" in caplog.text


def test_a_file_that_is_no_study_is_told_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "study.db").write_bytes(b"no database at all" * 100)
    with pages(folder) as viewer:
        answer = viewer.get("/api/s/broken/document")
        assert answer.status_code == 409
        assert "must be a database made by nas search" in answer.json()["error"]
        page = viewer.get("/s/broken")
        assert page.status_code == 409
        assert "must be a database made by nas search" in page.text
        entry = viewer.get("/api/studies").json()["studies"][0]
        assert (entry["name"], entry["state"]) == ("broken", "broken")


def test_several_studies_are_listed_and_one_that_is_broken(make_study, tmp_path: Path) -> None:
    first, second = make_study(trials=12, name="first").folder, make_study(trials=3, name="second").folder
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "study.db").write_bytes(b"")
    with pages(first, broken, second) as viewer:
        entries = {entry["name"]: entry for entry in viewer.get("/api/studies").json()["studies"]}
        page = viewer.get("/")
    assert {name: entry["state"] for name, entry in entries.items()} == {
        "first": "stopped",
        "broken": "broken",
        "second": "stopped",
    }
    reader = open_for_reading(first)
    assert entries["first"]["hypervolume"] == reader.status_document()["hypervolume"]
    assert entries["first"]["trials"] == sum(
        reader.status_document()["trials"][name] for name in ("complete", "pruned")
    )
    assert re.findall(r'href="(/s/[^"]*)"', page.text) == ["/s/first", "/s/broken", "/s/second"]
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_one_study_is_shown_at_once(make_study) -> None:
    with pages(make_study(trials=3, name="my study").folder, only="my study") as viewer:
        answer = viewer.get("/")
        assert (answer.status_code, answer.headers["location"]) == (307, "/s/my%20study")


def test_hostile_texts_stay_text(make_study) -> None:
    name = "x<script>alert(1)<"
    study = make_study(trials=12, name=name, message=HOSTILE)
    address = "/s/x%3Cscript%3Ealert(1)%3C"
    with pages(study.folder) as viewer:
        answer = viewer.get(f"/api{address}/document")
        assert answer.headers["content-type"] == "application/json"
        document = answer.json()
        assert document["study"] == name
        assert document["trials"][4]["failure"].endswith(HOSTILE)
        for path in ("/", address):
            page = viewer.get(path)
            assert "<script>alert" not in page.text
            assert "x&lt;script&gt;alert(1)&lt;" in page.text
            scripts = re.findall(r"<script[^>]*>", page.text)
            assert all('src="/static/' in script for script in scripts)
        missing = viewer.get(f"/api/s/{HOSTILE.replace('/', '%2F')}/document")
        assert (missing.status_code, missing.headers["content-type"]) == (404, "application/json")


def test_scripts_come_from_files_that_are_there(make_study) -> None:
    with pages(make_study(trials=3).folder) as viewer:
        page = viewer.get("/s/invented").text
        paths = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
        assert {path.rpartition(".")[2] for path in paths} >= {"css", "js"}
        for path in paths:
            answer = viewer.get(path)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["content-type"].startswith(("text/", "image/"))


def test_long_answers_are_compressed_for_those_who_take_it(make_study) -> None:
    with pages(make_study().folder) as viewer:
        packed = viewer.get("/api/s/invented/document", headers={"accept-encoding": "gzip"})
        plain = viewer.get("/api/s/invented/document", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert packed.headers["vary"] == "Accept-Encoding"


def test_a_study_in_the_place_of_another_is_a_document_of_its_own(make_study) -> None:
    old, new = make_study(trials=12), make_study(trials=3)
    old.close()
    new.close()
    with served(library(old.folder)) as address:
        with urlopen(f"{address}api/s/invented/document") as answer:
            version = json.load(answer)["version"]
        with urlopen(f"{address}api/s/invented/events?since={version}", timeout=60) as stream:
            part = old.folder / "part"
            shutil.copyfile(new.folder / "study.db", part)
            part.replace(old.folder / "study.db")
            events = (line for line in stream if line.startswith(b"event: "))
            assert any(line.strip() == b"event: document" for line in events)
        with urlopen(f"{address}api/s/invented/document") as answer:
            assert len(json.load(answer)["trials"]) == 3


def test_a_study_that_vanishes_is_told_and_its_trials_stay(make_study) -> None:
    study = make_study(trials=12)
    study.close()
    with served(library(study.folder)) as address:
        with urlopen(f"{address}api/s/invented/document") as answer:
            version = json.load(answer)["version"]
        with urlopen(f"{address}api/s/invented/events?since={version}", timeout=60) as stream:
            (study.folder / "study.db").unlink()
            news = (json.loads(line.removeprefix(b"data: ")) or {} for line in stream if line.startswith(b"data: "))
            trouble = next(data["trouble"] for data in news if data.get("trouble"))
        assert "\n" not in trouble
        with urlopen(f"{address}api/s/invented/document") as answer:
            assert len(json.load(answer)["trials"]) == 12


def test_a_feed_tells_what_has_changed_since_a_version() -> None:
    feed = Feed()
    assert feed.update({"a": 1, "b": None}, [{"n": 0, "x": 1}, {"n": 1, "x": 1}])
    first = feed.version
    assert not feed.update({"a": 1}, [{"n": 0, "x": 1}])
    assert feed.since(first) == (first, [])
    assert feed.update({"a": 2, "live": {"time": 3}}, [{"n": 1, "x": 2}])
    second, events = feed.since(first)
    assert [(kind, json.loads(data)) for kind, data in events] == [
        ("rows", {"version": second, "trials": [{"n": 1, "x": 2}], "a": 2}),
        ("live", {"time": 3}),
    ]
    assert json.loads(feed.document()[1]) == {
        "a": 2,
        "b": None,
        "version": second,
        "trials": [{"n": 0, "x": 1}, {"n": 1, "x": 2}],
    }


@pytest.mark.parametrize("version", ["", "x", "0-0", "…-1"])
def test_a_version_of_another_feed_is_answered_by_the_whole_document(version: str) -> None:
    feed = Feed()
    feed.update({"a": 1})
    for since in (version, f"{feed.version.partition('-')[0]}-99", f"{feed.version}x"):
        assert [kind for kind, _ in feed.since(since)[1]] == ["document"]


def test_a_name_that_is_no_text_breaks_no_list(make_study) -> None:
    study = make_study(trials=2)
    study.close()
    odd = study.folder.rename(study.folder.with_name("odd\udcff"))
    with pages(odd) as viewer:
        assert viewer.get("/").status_code == 200
        assert viewer.get("/api/studies").status_code == 200


def test_a_database_that_is_away_is_told_in_one_line(make_study) -> None:
    study = make_study(trials=2)
    known = library(study.folder)

    def names() -> list[str]:
        raise StorageError("the database must be reachable,\n it is not")

    page = LivePage(replace(known, names=names))
    with TestClient(Guard(page.application, PORT), BASE) as viewer:
        for path in ("/", "/api/studies", "/s/invented", "/api/s/invented/events"):
            found = viewer.get(path)
            assert found.status_code == 503
            assert "the database must be reachable, it is not" in found.text
    page.close()
    study.close()
