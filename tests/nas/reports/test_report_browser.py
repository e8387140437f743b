"""HTML report in a browser without a network: points, front, limits, differences, keys, and no request."""

from __future__ import annotations

import json

import pytest
from page_checks import DRAWN, HOSTILE, OVERLAPS, PLACES, SHOWN, click_on, front_of, isolated, press, sets

from nas.objectives.pareto import Axis, front, losses
from nas.reports.html import ReportContext, render
from nas.study.summary import StudyReader
from search_space.architecture import Architecture
from search_space.differences import differences

pytestmark = pytest.mark.xdist_group("browser")  # one for all: it takes longer to start than most tests

WITHIN = 200_000


def written(study, folder, context):
    path = folder / "report.html"
    path.write_bytes(render(StudyReader(study), context).encode())
    return path


@pytest.fixture(scope="module")
def study(make_study):
    return make_study(110)


@pytest.fixture(scope="module")
def report(study, tmp_path_factory):
    return written(study, tmp_path_factory.mktemp("report"), ReportContext("study=invented", "nas search"))


@pytest.fixture(scope="module")
def document(report):
    html = report.read_text(encoding="utf-8")
    return json.loads(html.partition('<script type="application/json" id="data">')[2].partition("</script>")[0])


def python_front(document, cost, within=float("inf"), floor=0.0):
    """Return the front of believed accuracy and a cost, of the trials whose MACs and accuracy are within limits."""
    axes = [Axis("val_accuracy", "maximize", False, 1.0, 0.0), Axis(cost, "minimize", True, 1.0, 1e9)]
    rows = []
    for row in document["trials"]:
        if row["state"] == "complete":
            accuracy = (row["believed"] or {"mean": row["values"]["val_accuracy"]})["mean"]
            if row["values"]["macs"] <= within and accuracy >= floor:
                rows.append((row["n"], {"val_accuracy": accuracy, cost: row["values"][cost]}))
    members = front(losses(axes, [values for _, values in rows]))
    return {rows[place][0] for place in members}


def test_it_makes_no_request_and_reports_no_error(browser, report):
    browser.open(report)
    assert browser.requests == [report.as_uri()]
    assert browser.errors == []
    assert browser.evaluate("document.querySelectorAll('.plot > svg').length") == 4


def test_a_click_on_a_point_shows_its_network(browser, report, study):
    browser.open(report)
    browser.evaluate("document.getElementById('front-plot').scrollIntoView({block: 'center'})")
    places = browser.evaluate(PLACES)
    records = study.records()
    groups = [[r.number for r in records if r.state == state] for state in ("complete", "pruned", "failed", "running")]
    chosen = isolated(places, groups[0])[:3] + [
        number for group in groups[1:] for number in isolated(places, group)[:1]
    ]
    assert len(chosen) >= 5
    for number in chosen:
        record = records[int(number)]
        click_on(browser, number)
        browser.until(f"{DRAWN} === '{record.candidate.id}'")
        assert browser.evaluate(SHOWN) == record.candidate.id
        shown = browser.evaluate("document.getElementById('selected').textContent")
        assert shown.startswith(f"Trial {number}")
        assert record.candidate.summary in shown
        label = browser.evaluate("document.querySelector('#drawing svg').getAttribute('aria-label')")
        assert label == f"Drawing of trial {number}: {record.candidate.summary}"
        total = f"{record.candidate.costs['macs']:,}"
        assert total in shown
    assert browser.errors == []
    assert browser.requests == [report.as_uri()]


@pytest.mark.parametrize("cost", ["macs", "params", "memory_mib"])
def test_the_front_of_any_cost_is_the_one_of_the_project(browser, report, study, document, cost):
    browser.open(report)
    browser.evaluate(sets("x-axis", cost))
    shown = front_of(browser)
    assert set(shown) == python_front(document, cost)
    if cost == "macs":
        assert set(shown) == {record.number for record in StudyReader(study).front}
    told = "document.querySelector('.legend button').textContent"
    assert browser.evaluate(told) == f"front {len(shown)}"
    costs = [record.candidate.costs[cost] for record in (study.records()[number] for number in shown)]
    assert costs == sorted(costs)


def test_limits_and_floor_filter_front_and_table(browser, report, document):
    browser.open(report)
    browser.evaluate(sets("x-axis", "params"))
    browser.evaluate(sets("typed-macs", "200k"))
    assert set(front_of(browser)) == python_front(document, "params", WITHIN)
    within = [row for row in document["trials"] if row["values"]["macs"] <= WITHIN]
    assert browser.evaluate("document.getElementById('trials-count').textContent").startswith(f"{len(within)} of 110")
    floor = sorted(row["values"]["val_accuracy"] for row in within if row["state"] == "complete")[-8] - 0.005
    browser.evaluate(sets("typed-floor", f"{100 * floor:.2f} %"))
    assert set(front_of(browser)) == python_front(document, "params", WITHIN, round(floor, 4))
    assert f"limits.max_macs={WITHIN}" in browser.evaluate("document.getElementById('filters-note').textContent")
    browser.evaluate(press("r"))
    assert set(front_of(browser)) == python_front(document, "params")
    assert browser.errors == []


def test_two_pinned_networks_differ_in_what_differs(browser, report, study, document):
    browser.open(report)
    records = study.records()
    for first, second in ((0, 1), (2, 3), (6, 7), (8, 16), (11, 11)):
        browser.evaluate(f"location.hash = 'pins={first},{second}'")
        browser.until("document.getElementById('compare').hidden === false")
        networks = [Architecture.from_json(records[number].candidate.architecture) for number in (first, second)]
        expected = [change.text() for change in differences(*networks)]
        if first == second:
            browser.until("!document.getElementById('compare-text').dataset.changes")
            continue
        browser.until(f"document.querySelectorAll('.changes li').length === {len(expected)}")
        told = json.loads(browser.evaluate("document.getElementById('compare-text').dataset.changes"))
        assert sorted(told) == sorted(expected)
        browser.until("document.querySelectorAll('#compare-drawings svg').length === 2")
        assert browser.evaluate("document.querySelectorAll('#compare-drawings .changed').length") > 0
    assert browser.errors == []


def test_keys_walk_along_the_front_and_pin(browser, report):
    browser.open(report)
    members = front_of(browser)
    start = members.index(browser.evaluate("Number(document.querySelector('#selected h3').textContent.split(' ')[1])"))
    browser.evaluate(press("ArrowLeft"))
    heading = "document.querySelector('#selected h3').textContent"
    assert browser.evaluate(heading) == f"Trial {members[start - 1]}"
    browser.evaluate(press("p"))
    browser.evaluate(press("ArrowLeft"))
    browser.evaluate(press("p"))
    pins = f"pins={members[start - 1]},{members[start - 2]}"
    browser.until(f"location.hash.includes('{pins}') && location.hash.includes('trial={members[start - 2]}')")
    browser.evaluate("document.querySelector('nav a[href=\"#trials\"]').click()")
    browser.until("Math.abs(document.getElementById('trials').getBoundingClientRect().top) < 200")
    assert pins in browser.evaluate("location.hash")
    browser.evaluate(press("?"))
    assert browser.evaluate("document.getElementById('help').open") is True
    assert browser.errors == []


def test_a_button_copies_the_command_that_retrains_the_chosen_trial(browser, report, document):
    browser.open(report)
    browser.evaluate("document.querySelector('#selected .copy').scrollIntoView({block: 'center'})")
    box = "document.querySelector('#selected .copy').getBoundingClientRect()"
    browser.click(*browser.evaluate(f"[{box}.left + 9, {box}.top + 9]"))
    browser.until("document.querySelector('#selected .copy').textContent === 'Copied'")
    browser.evaluate("document.getElementById('trials-filter').focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="v", code="KeyV", modifiers=2, commands=["paste"])
    pasted = f"nas retrain study=invented pick={document['first']}"
    browser.until(f"document.getElementById('trials-filter').value === '{pasted}'")


def test_a_link_shows_what_it_was_copied_from(browser, report, document):
    link = "#trial=7&pins=2,9&x=params&y=val_loss&limits=macs:200000&floor=0.5&over=clock"
    browser.open(report, fragment=link)
    assert browser.evaluate("document.querySelector('#selected h3').textContent") == "Trial 7"
    assert browser.evaluate("[...document.querySelectorAll('#compare .heads .pick')].map((b) => b.textContent)") == [
        "Trial 2",
        "Trial 9",
    ]
    assert browser.evaluate("document.querySelector('#front-plot .title').textContent").startswith("validation loss")
    assert browser.evaluate("document.getElementById('typed-macs').value") == "200,000"
    assert browser.evaluate("document.querySelector('#progress .segments [aria-pressed=true]').textContent") == "clock"
    browser.evaluate(press("k"))
    browser.until(f"location.hash === '{link.replace('trial=7', 'trial=6')}'")


def test_the_table_sorts_filters_and_picks(browser, report, study):
    browser.open(report)
    costs = {record.number: record.candidate.costs["macs"] for record in study.records()}
    click = "[...document.querySelectorAll('#trials .sort')].find((b) => b.textContent === 'MACs').click()"
    numbers = "[...document.querySelectorAll('#all tbody .pick')].map((b) => Number(b.dataset.trial))"
    for turn in (sorted(costs.values()), sorted(costs.values(), reverse=True)):
        browser.evaluate(click)
        shown = browser.evaluate(numbers)
        assert 20 < len(shown) < 110  # the visible rows alone are there
        assert [costs[number] for number in shown] == turn[: len(shown)]
    browser.evaluate("document.getElementById('trials-scroll').scrollTop = 1e6")
    browser.until(f"{numbers}.includes({min(costs, key=costs.__getitem__)})")
    browser.evaluate(sets("trials-kind", "failed"))
    failed = [record.number for record in study.records() if record.state == "failed"]
    assert sorted(browser.evaluate(numbers)) == failed
    browser.evaluate(sets("trials-filter", "out of memory", "input"))
    assert sorted(browser.evaluate(numbers)) == failed
    browser.evaluate(sets("trials-filter", "no such words", "input"))
    assert browser.evaluate(numbers) == []
    browser.evaluate(sets("trials-filter", "", "input"))
    browser.evaluate(f"document.querySelector('#all [data-trial=\"{failed[1]}\"]').click()")
    assert browser.evaluate("document.querySelector('#selected h3').textContent") == f"Trial {failed[1]}"


def test_other_measures_can_be_looked_at(browser, report):
    browser.open(report)
    title = "[...document.querySelectorAll('#{} .title')].map((t) => t.textContent)"
    browser.evaluate(sets("x-axis", "params"))
    assert browser.evaluate(title.format("front-plot")) == ["validation error ↓", "parameters ↓"]
    browser.evaluate(sets("curve", "val_loss"))
    assert browser.evaluate(title.format("curves-plot")) == ["validation loss", "epoch"]
    ticks = "[...document.querySelectorAll('#front-plot .tick')].map((t) => t.textContent)"
    logarithmic = browser.evaluate(ticks)
    browser.evaluate("document.getElementById('x-log').click()")
    assert browser.evaluate(ticks) != logarithmic
    browser.until("location.hash.includes('linear=x')")
    assert browser.errors == []


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_overlaps_or_is_wider_than_the_window(browser, report, width, dark):
    browser.open(report, width=width, dark=dark, fragment="#pins=2,9&limits=macs:200000")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    page = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (page == "rgb(255, 255, 255)") is not dark
    for x in ("macs", "params", "memory_mib", "seconds", "trial"):
        browser.evaluate(sets("x-axis", x))
        assert browser.evaluate(OVERLAPS) == []
    labels = browser.evaluate("[...document.querySelectorAll('#front-plot .tick')].map((t) => t.textContent)")
    assert len(labels) >= 6


def test_nothing_in_a_study_runs(browser, make_study, tmp_path):
    name = HOSTILE.replace("/", "∕")
    study = make_study(name=name, message=HOSTILE)
    context = ReportContext(f"study={HOSTILE}", HOSTILE, False, {}, HOSTILE, {"processor": HOSTILE, "cores": HOSTILE})
    path = written(study, tmp_path, context)
    browser.open(path, fragment="#trial=4&pins=1,4")
    browser.until("document.querySelector('#selected .failure')")
    browser.until("document.querySelectorAll('#compare-drawings svg').length === 2")
    browser.evaluate("document.getElementById('trials').scrollIntoView()")
    assert browser.evaluate("document.querySelector('h1').textContent") == name
    assert HOSTILE in browser.evaluate("document.getElementById('selected').textContent")
    assert HOSTILE in browser.evaluate("document.getElementById('all').textContent")
    assert browser.evaluate("document.querySelectorAll('img, main a, main script').length") == 0
    assert browser.dialogs == []
    assert browser.errors == []
    assert browser.requests == [path.as_uri() + "#trial=4&pins=1,4"] or browser.requests == [path.as_uri()]


@pytest.mark.parametrize("objectives", [("val_accuracy",), ("val_accuracy", "macs", "params"), ("macs",)])
def test_other_numbers_of_objectives_are_drawn(browser, make_study, tmp_path, objectives):
    study = make_study(objectives=objectives, trials=7)
    browser.open(written(study, tmp_path, ReportContext("study=invented")))
    assert browser.errors == []
    assert len(browser.evaluate(PLACES)) >= 6
    assert set(front_of(browser)) == {record.number for record in StudyReader(study).front}


def test_an_empty_study_opens(browser, make_study, tmp_path):
    path = written(make_study(trials=0), tmp_path, ReportContext("study=invented", "nas search study=invented"))
    browser.open(path)
    assert browser.errors == []
    assert browser.evaluate("document.getElementById('headline').textContent").startswith("No trial is complete yet")
    assert "nas search study=invented" in browser.evaluate("document.getElementById('next').textContent")
