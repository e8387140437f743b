"""`nas ui`: answers of the live page, refusals, and news of a study that is searched meanwhile."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from live_server import BASE, PORT, join_followers, library, pages, served
from starlette.testclient import TestClient

from nas.reports.document import ReportContext
from nas.reports.live.follower import FOLLOWER, Follower, Source
from nas.study.summary import open_for_reading

CONTEXT = ReportContext("study=invented")


@pytest.fixture(scope="module")
def study_folder(make_study) -> Path:
    return make_study(name="looked at").folder


@pytest.fixture
def viewer(study_folder: Path) -> Iterator[TestClient]:
    with pages(study_folder) as opened:
        yield opened


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_document_is_the_study(viewer: TestClient, study_folder: Path) -> None:
    answer = viewer.get("/api/s/looked%20at/document")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    reader = open_for_reading(study_folder)
    assert [row["n"] for row in document["trials"]] == [record.number for record in reader.records]
    assert document["front"] == [record.number for record in reader.front]
    assert document["status"]["hypervolume"] == reader.status_document()["hypervolume"]
    assert document["status"]["counts"] == reader.status_document()["trials"]
    assert document["failures"] == {"out_of_memory": 2}


def test_the_details_of_a_trial(viewer: TestClient, study_folder: Path) -> None:
    found = viewer.get("/api/s/looked%20at/trials/3").json()
    record = open_for_reading(study_folder).record(3)
    assert found["architecture"] == record.candidate.architecture
    assert found["drawing"].startswith("<svg")
    assert sum(block["macs"] for block in found["blocks"]) == record.candidate.costs["macs"]
    assert found["commands"]["retrain"] == "nas retrain study=looked at pick=3"
    assert found["curve"]["val_accuracy"] == pytest.approx([row.val_accuracy for row in record.curve], rel=1e-5)
    assert viewer.get("/api/s/looked%20at/trials/24").status_code == 404


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1:1", "127.0.0.1", "", "localhost."])
def test_other_hosts_are_refused(viewer: TestClient, host: str) -> None:
    answer = viewer.get("/api/studies", headers={"host": host})
    assert answer.status_code == 403
    assert "the host must be one of" in answer.json()["error"]


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"127.0.0.1:{PORT}", f"[::1]:{PORT}", f"LOCALHOST:{PORT}"])
def test_this_machine_is_answered(viewer: TestClient, host: str) -> None:
    assert viewer.get("/api/studies", headers={"host": host}).status_code == 200


def test_other_origins_are_refused(viewer: TestClient) -> None:
    assert viewer.get("/api/studies", headers={"origin": "http://evil.example"}).status_code == 403
    assert viewer.get("/api/studies", headers={"origin": "null"}).status_code == 403
    answer = viewer.get("/api/studies", headers={"origin": BASE})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_but_reads_is_answered(viewer: TestClient, method: str) -> None:
    answer = viewer.request(method, "/api/studies")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_heads_are_answered_without_a_body(viewer: TestClient) -> None:
    for path in ("/s/looked%20at", "/api/s/looked%20at/document", "/api/s/looked%20at/events"):
        answer = viewer.head(path)
        assert answer.status_code == 200
        assert answer.content == b""


@pytest.mark.parametrize("path", ["/", "/s/looked%20at", "/api/s/looked%20at/document", "/static/none", "/s/none"])
def test_every_answer_forbids_to_guess_types_and_to_frame_it(viewer: TestClient, path: str) -> None:
    headers = viewer.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    if headers["content-type"].startswith("text/html"):
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy.partition("script-src")[2].partition(";")[0]


@pytest.mark.parametrize("name", ["..%2Fother", "looked%20at%2F..", "%2Fetc", "looked%20at%00", ""])
def test_a_name_leads_to_no_other_folder(viewer: TestClient, name: str) -> None:
    assert viewer.get(f"/api/s/{name}/document").status_code == 404
    assert viewer.get(f"/s/{name}/x/..").status_code == 404


@pytest.mark.parametrize("searched", [False, True])
def test_nothing_is_written(make_study, searched: bool) -> None:
    study = make_study(trials=12)
    if not searched:
        study.close()
    before = digest(study.folder)
    with pages(study.folder) as opened:
        for path in ("/", "/s/invented", "/api/s/invented/document", "/api/s/invented/trials/0", "/api/studies"):
            assert opened.get(path).status_code == 200
    after = digest(study.folder)
    if searched:  # SQLite notes the readers beside an open log, in the index that the search has made
        del before["study.db-shm"], after["study.db-shm"]
    assert after == before


def test_a_new_result_reaches_a_viewer(make_study) -> None:
    study = make_study()
    with served(library(study.folder)) as address:
        with urlopen(f"{address}api/s/invented/document") as answer:
            document = json.load(answer)
        before = next(row for row in document["trials"] if row["n"] == 23)
        with urlopen(f"{address}api/s/invented/events?since={document['version']}", timeout=60) as stream:
            events = read_events(stream)
            study.tell(23, {"val_accuracy": 0.995, "macs": study.records()[23].candidate.costs["macs"]})
            changed = next(row for _, data in events for row in data.get("trials", ()) if row["n"] == 23)
            assert (before["state"], changed["state"]) == ("frozen", "complete")
            assert changed["values"]["val_accuracy"] == 0.995
            front = next(data["front"] for _, data in events if 23 in data.get("front", ()))
    assert front == [record.number for record in open_for_reading(study.folder).front]


def read_events(stream: Iterable[bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    kind = ""
    for line in stream:
        if line.startswith(b"event: "):
            kind = line.removeprefix(b"event: ").decode().strip()
        if line.startswith(b"data: "):
            yield kind, json.loads(line.removeprefix(b"data: ")) or {}


def test_many_viewers_share_one_reader_which_ends_with_the_last(make_study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas.reports.live.follower.LINGER_SECONDS", 0.0)
    study, opened = make_study(), []
    source = Source("invented", lambda: opened.append(1) or open_for_reading(study.folder), lambda _: CONTEXT)
    follower = Follower(source, lambda: None)
    with ExitStack() as viewers:
        for _ in range(5):
            viewers.enter_context(follower.viewer())
        follower.wait()
        versions = {follower.feed.since("")[0] for _ in range(5)}
        assert len(versions) == len(opened) == 1
        assert [thread.name for thread in threading.enumerate()].count(FOLLOWER) == 1
    join_followers()  # it ends by itself
    study.close()
