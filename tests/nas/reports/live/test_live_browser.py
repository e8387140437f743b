"""The live page in a browser: its own host alone, a study that grows while it is looked at, hostile names."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_server import library, served
from page_checks import DRAWN, HOSTILE, OVERLAPS, PLACES, SHOWN, click_on, front_of, isolated

from nas.jobs import Epoch
from nas.reports.live_file import LiveFile
from nas.study.progress import Progress, Running
from nas.study.storage.folder_lock import FolderLock
from nas.study.summary import open_for_reading

pytestmark = pytest.mark.xdist_group("browser")

SEEN = "Object.defineProperty(document, 'visibilityState', {value: '%s', configurable: true});"
ROOT = Path(__file__).parents[4]
TRIALS = 30
SPEED = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}


@pytest.fixture
def online(browser: Any) -> Iterator[Any]:
    """Take the browser onto the network of this machine during a test."""
    browser.call("Network.emulateNetworkConditions", offline=False, **SPEED)
    yield browser
    browser.call("Page.navigate", url="about:blank")
    browser.call("Network.emulateNetworkConditions", offline=True, **SPEED)


def test_it_asks_its_own_host_alone_and_points_lead_to_their_networks(online, make_study):
    study = make_study(104, name="served")
    records = study.records()
    with served(library(study.folder)) as address:
        online.open(f"{address}s/served")
        online.evaluate("document.getElementById('front-plot').scrollIntoView({block: 'center'})")
        complete = [record.number for record in records if record.values]
        chosen = isolated(online.evaluate(PLACES), complete)[:3]
        assert len(chosen) == 3
        for number in chosen:
            click_on(online, number)
            online.until(f"{DRAWN} === '{records[int(number)].candidate.id}'")
            assert online.evaluate(SHOWN) == records[int(number)].candidate.id
        online.evaluate("location.hash = 'pins=1,2'")
        online.until("document.querySelectorAll('#compare-drawings svg').length === 2")
        assert online.evaluate(OVERLAPS) == []
        assert set(front_of(online)) == {record.number for record in open_for_reading(study.folder).front}
        assert [request for request in online.requests if not request.startswith(address)] == []
        assert any("/events" in request for request in online.requests)
        assert online.errors == []


def test_a_result_appears_while_the_page_is_open(online, make_study):
    study = make_study(30)
    record = study.records()[29]
    with served(library(study.folder)) as address:
        online.open(f"{address}s/invented")
        assert 29 not in front_of(online)
        count = online.evaluate("document.querySelector('.legend button').textContent")
        study.tell(29, {"val_accuracy": 0.995, "macs": record.candidate.costs["macs"]})
        online.until("document.getElementById('front-plot').dataset.front.split(' ').includes('29')", 30)
        reader = open_for_reading(study.folder)
        online.until(f"document.querySelector('.legend button').textContent === 'front {len(reader.front)}'", 30)
        assert count.startswith("front ")
        assert set(front_of(online)) == {record.number for record in reader.front}
        assert online.errors == []


def test_an_empty_study_gets_its_first_trial(online, make_study):
    study = make_study(0)
    record = make_study(1).records()[0]
    with served(library(study.folder)) as address:
        online.open(f"{address}s/invented")
        assert online.evaluate("document.getElementById('headline').textContent").startswith("No trial is complete yet")
        number = study.add(record.candidate)
        study.store_training(number, record.curve, record.training)
        study.tell(number, {"val_accuracy": 0.5, "macs": record.candidate.costs["macs"]})
        online.until("document.getElementById('headline').textContent.startsWith('1 of 1 trained network')", 30)
        online.until(f"{SHOWN} === '{record.candidate.id}' && {DRAWN} === '{record.candidate.id}'", 30)
        online.until(f"Object.keys({PLACES}).length === 1", 30)
        assert online.errors == []


def test_running_trials_have_a_line_each_with_a_growing_curve(online, make_study):
    study = make_study(12)
    record = study.records()[11]
    curve = tuple(Epoch(epoch, 1.0, 1.0, 0.2 * epoch, 0.2 * epoch, 0.1) for epoch in (1, 2, 3))
    with FolderLock(study.folder), served(library(study.folder)) as address:
        online.open(f"{address}s/invented")
        for epochs in (2, 3):
            job = Running(11, epochs, 3, record.candidate.summary, 3, 0, curve[:epochs])
            progress = Progress({"complete": 9, "running": 1}, 20, [], study.axes, 0.5, [job], 9.0, 30.0, 12.0, 0.45)
            LiveFile(study.folder).on_progress(progress)
            line = "document.getElementById('slots').textContent"
            online.until(f"{line}.includes('epoch {epochs} of 3') && {line}.includes('{20 * epochs}.0 %')", 30)
            assert "running, 45 %" in online.evaluate("document.getElementById('counts').textContent")
            assert "12 s left" in online.evaluate("document.getElementById('counts').textContent")
            for seen in ("hidden", "visible"):
                online.evaluate(SEEN % seen + "document.dispatchEvent(new Event('visibilitychange'))")
        assert "11" in online.evaluate(PLACES)
        assert len([request for request in online.requests if "/events?since=" in request]) >= 2  # after it was hidden
        assert online.errors == []


@pytest.fixture
def search(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a search of real trainings, of one epoch each, in a process of its own."""
    settings = [f"budget.trials={TRIALS}", "training.epochs=1", "sampler=random", "workers.slots=1", "tracking=none"]
    command = [sys.executable, "-m", "nas", "search", f"study={tmp_path / 'real'}", *settings]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT) as process:
        yield process
        process.terminate()


def test_a_search_is_followed_from_its_first_trials_to_its_end(online, search, tmp_path):
    folder = tmp_path / "real"
    while search.poll() is None and not (folder / "live.json").exists():
        time.sleep(0.1)
    with served(library(folder)) as address:
        online.open(f"{address}s/real")
        online.until("document.querySelectorAll('#slots li').length === 1", 120)
        begun = len(online.evaluate(PLACES))
        online.until(f"Object.keys({PLACES}).length > {begun}", 120)
        online.until("document.getElementById('counts').textContent.includes('finished')", 600)
        assert search.wait(60) == 0, (tmp_path / "log").read_text()[-2000:]
        reader = open_for_reading(folder)
        online.until(f"document.getElementById('trials-count').textContent === '{len(reader.records)} trials.'", 60)
        expected = {record.number for record in reader.front}
        online.until(f"document.getElementById('front-plot').dataset.front.split(' ').length === {len(expected)}", 60)
        assert len(reader.records) >= TRIALS > begun
        assert set(front_of(online)) == expected
        online.evaluate("document.getElementById('front-plot').scrollIntoView({block: 'center'})")
        records = {record.number: record for record in reader.records}
        for number in isolated(online.evaluate(PLACES), records)[:3]:
            click_on(online, number)
            online.until(f"{DRAWN} === '{records[int(number)].candidate.id}'")
            assert online.evaluate(SHOWN) == records[int(number)].candidate.id
        assert [request for request in online.requests if not request.startswith(address)] == []
        assert online.errors == []


def test_nothing_in_a_study_runs(online, make_study):
    name = HOSTILE.replace("/", "∕")
    study = make_study(name=name, message=HOSTILE)
    with served(library(study.folder)) as address:
        online.call("Page.navigate", url=address)
        online.until("document.querySelector('.studies a')")
        page = online.evaluate("document.querySelector('.studies a').href")
        online.open(page, fragment="#trial=4&pins=1,4")
        online.until("document.querySelectorAll('#compare-drawings svg').length === 2")
        assert online.evaluate("document.querySelector('h1').textContent") == name
        assert HOSTILE in online.evaluate("document.getElementById('selected').textContent")
        assert online.evaluate("document.querySelectorAll('img, main a, main script').length") == 0
        assert online.dialogs == []
        assert online.errors == []
        assert [request for request in online.requests if not request.startswith(address)] == []
