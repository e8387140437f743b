"""HTML report in a browser without a network: figures, no requests, and the network of a clicked point."""

from __future__ import annotations

import itertools
import math

import pytest

from nas.reports.html import ReportContext, render
from nas.study.summary import StudyReader

pytestmark = pytest.mark.xdist_group("browser")  # one for all: it takes longer to start than most tests

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)><a href="javascript:alert(3)">x</a>'
PLACES = """(() => {
  const plot = document.getElementById("front-plot"), layout = plot._fullLayout, box = plot.getBoundingClientRect();
  const found = {};
  for (const trace of plot._fullData) {
    if (trace.hoverinfo === "skip" || !trace.customdata) continue;
    const axis = trace.yaxis === "y2" ? layout.yaxis2 : layout.yaxis;
    trace.customdata.forEach((number, i) => {
      found[number] = [box.left + layout.xaxis._offset + layout.xaxis.d2p(trace.x[i]),
        box.top + axis._offset + axis.d2p(trace.y[i])];
    });
  }
  return found;
})()"""


def written(study, folder, context):
    path = folder / "report.html"
    path.write_bytes(render(StudyReader(study), context).encode())
    return path


@pytest.fixture(scope="module")
def study(make_study):
    return make_study()


@pytest.fixture(scope="module")
def report(study, tmp_path_factory):
    return written(study, tmp_path_factory.mktemp("report"), ReportContext("study=invented", "nas search"))


def isolated(places, wanted):
    """Return the trials among `wanted` whose points have no other point within 10 pixels."""
    near = {n for a, b in itertools.permutations(places, 2) if math.dist(places[a], places[b]) < 10 for n in (a, b)}
    return [number for number in places if number not in near and int(number) in wanted]


def click_on(browser, number, shown):
    """Click on a trial's point until its network shows: a plot that is still drawing ignores clicks."""
    for _ in range(10):
        browser.evaluate("document.getElementById('front-plot').scrollIntoView({block: 'center'})")
        browser.click(*browser.evaluate(PLACES)[number])
        if browser.becomes(shown, 3):
            return
    raise AssertionError(f"{shown} must become true; {browser.errors}")


def test_it_makes_no_request_and_reports_no_error(browser, report):
    browser.open(report)
    assert browser.requests == [report.as_uri()]
    assert browser.errors == []
    assert browser.evaluate("document.querySelectorAll('.plot .main-svg').length") >= 8


def test_a_click_on_a_point_shows_its_network(browser, report, study):
    browser.open(report)
    browser.evaluate("document.getElementById('front-plot').scrollIntoView({block: 'center'})")
    places = browser.evaluate(PLACES)
    records = study.records()
    groups = [[r.number for r in records if r.state == state] for state in ("complete", "pruned", "failed", "running")]
    chosen = isolated(places, groups[0])[:2] + [isolated(places, group)[0] for group in groups[1:]]
    assert len(chosen) == 5
    for number in chosen:
        identity = records[int(number)].candidate.id
        click_on(browser, number, f"document.getElementById('drawing').dataset.architecture === '{identity}'")
        assert browser.evaluate("document.getElementById('selected').dataset.architecture") == identity
        shown = browser.evaluate("document.getElementById('selected').textContent")
        assert shown.startswith(f"Trial {number},")
        assert records[int(number)].candidate.summary in shown
        label = browser.evaluate("document.querySelector('#drawing svg').getAttribute('aria-label')")
        assert label == f"Drawing of trial {number}: {records[int(number)].candidate.summary}"
    assert browser.errors == []
    assert browser.requests == [report.as_uri()]


def test_the_table_sorts_and_picks(browser, report, study):
    browser.open(report)
    complete = {record.number: record.values["macs"] for record in study.records() if record.values}
    click = "[...document.querySelectorAll('#all .sort')].find((b) => b.textContent === 'MACs').click()"
    numbers = "[...document.querySelectorAll('#all tbody .pick')].map((b) => Number(b.dataset.trial))"
    costs = {record.number: record.candidate.costs["macs"] for record in study.records()}
    for turn in (sorted(costs.values()), sorted(costs.values(), reverse=True)):
        browser.evaluate(click)
        assert [costs[number] for number in browser.evaluate(numbers)] == turn
    costliest = max(complete, key=complete.__getitem__)
    browser.evaluate(f"document.querySelector('#all [data-trial=\"{costliest}\"]').click()")
    assert browser.evaluate("document.getElementById('selected').textContent").startswith(f"Trial {costliest},")


def test_other_measures_can_be_looked_at(browser, report):
    browser.open(report)
    browser.evaluate(
        "Object.assign(document.getElementById('x-axis'), {value: 'params'}).dispatchEvent(new Event('change'))"
    )
    assert browser.evaluate("document.getElementById('front-plot')._fullLayout.xaxis.title.text") == "parameters"
    browser.evaluate(
        "Object.assign(document.getElementById('curve'), {value: 'val_loss'}).dispatchEvent(new Event('change'))"
    )
    assert browser.evaluate("document.getElementById('curves-plot')._fullLayout.yaxis.title.text") == "validation loss"
    assert browser.errors == []


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_it_is_no_wider_than_the_window(browser, report, width, dark):
    browser.open(report, width=width, dark=dark)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    page = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (page == "rgb(255, 255, 255)") is not dark


def test_nothing_in_a_study_runs(browser, make_study, tmp_path):
    name = HOSTILE.replace("/", "∕")
    study = make_study(name=name, message=HOSTILE)
    context = ReportContext(f"study={HOSTILE}", HOSTILE, False, {}, HOSTILE, {"processor": HOSTILE, "cores": HOSTILE})
    path = written(study, tmp_path, context)
    browser.open(path)
    click_on(browser, "4", "document.querySelector('#selected .failure')")
    browser.evaluate("new Promise((done) => setTimeout(done, 300))")
    assert browser.evaluate("document.querySelector('h1').textContent") == name
    assert HOSTILE in browser.evaluate("document.getElementById('selected').textContent")
    assert browser.evaluate("document.querySelectorAll('.hoverlayer a, img, body a:not(.skip)').length") == 0
    assert browser.dialogs == []
    assert browser.errors == []
    assert browser.requests == [path.as_uri()]


@pytest.mark.parametrize("objectives", [("val_accuracy",), ("val_accuracy", "macs", "params"), ("macs",)])
def test_other_numbers_of_objectives_are_drawn(browser, make_study, tmp_path, objectives):
    path = written(make_study(objectives=objectives, trials=7), tmp_path, ReportContext("study=invented"))
    browser.open(path)
    assert browser.errors == []
    assert browser.evaluate("document.querySelectorAll('#front-plot .point').length") >= 6


def test_an_empty_study_opens(browser, make_study, tmp_path):
    path = written(make_study(trials=0), tmp_path, ReportContext("study=invented"))
    browser.open(path)
    assert browser.errors == []
