"""Figures of the page with documents that a small study does not have: narrow ranges, thousands of trials, results."""

from __future__ import annotations

import copy
import json

import pytest
from page_checks import HOSTILE, OVERLAPS, PLACES, front_of, sets

from nas.reports.html import ReportContext, render
from nas.reports.html.markup import json_script
from nas.study.summary import StudyReader

pytestmark = pytest.mark.xdist_group("browser")

BLOCK = '<script type="application/json" id="data">'
TICKS = "[...document.querySelectorAll('#front-plot .tick')].map((tick) => tick.textContent)"
MANY = 5000


@pytest.fixture(scope="module")
def html(make_study):
    return render(StudyReader(make_study(40)), ReportContext("study=invented", "nas search"))


@pytest.fixture
def opened(browser, html, tmp_path):
    """Return a function that opens the report with a changed document."""

    def open_changed(change, **how):
        before, _, rest = html.partition(BLOCK)
        data, _, after = rest.partition("</script>")
        document = json.loads(data)
        change(document)
        path = tmp_path / "report.html"
        path.write_bytes(f"{before}{json_script('data', document)}{after}".encode())
        browser.open(path, **how)
        assert browser.errors == []
        return document

    return open_changed


def narrow(document):
    """Put all accuracies within a percent."""
    for row in document["trials"]:
        row["believed"] = None
        if row["state"] == "complete":
            row["values"]["val_accuracy"] = 0.982 + 0.008 * row["values"]["val_accuracy"]
        else:
            row["values"].pop("val_accuracy", None)


@pytest.mark.parametrize("y", ["val_accuracy", "val_error"])
@pytest.mark.parametrize("width", [390, 1400])
def test_ticks_of_a_narrow_range_differ(browser, opened, y, width):
    opened(narrow, width=width)
    browser.evaluate(sets("y-axis", y))
    shares = [text for text in browser.evaluate(TICKS) if text.endswith("%")]
    assert len(shares) >= 3
    assert len(set(shares)) == len(shares)
    assert browser.evaluate(OVERLAPS) == []


def test_thousands_of_trials_are_a_few_rows_and_all_points(browser, opened):
    def multiply(document):
        rows = document["trials"]
        document["trials"] = [copy.deepcopy(rows[number % len(rows)]) | {"n": number} for number in range(MANY)]
        for row in document["trials"][len(rows) :]:
            row["front"] = False

    document = opened(multiply)
    assert browser.evaluate("document.getElementById('trials-count').textContent") == f"{MANY:,} trials."
    assert browser.evaluate("document.querySelectorAll('#all tbody tr').length") < 100
    drawn = sum(row["state"] != "running" for row in document["trials"])
    assert drawn <= len(browser.evaluate(PLACES)) <= MANY
    assert browser.evaluate("document.querySelectorAll('#front-plot path').length") < 100
    browser.evaluate("document.getElementById('trials-scroll').scrollTop = 1e9")
    last = "[...document.querySelectorAll('#all tbody tr')].at(-1).getAttribute('aria-rowindex')"
    browser.until(f"{last} === '{MANY + 1}'")
    assert "evenly spaced of" in browser.evaluate("document.getElementById('curves-note').textContent")


def test_results_and_failures_are_told_alike(browser, opened):
    def retrain(document):
        test = {"mean": 0.8552, "std": 0.0125, "n": 3, "interval": [0.8341, 0.8763]}
        alone = {"mean": 0.8552, "std": None, "n": 1, "interval": None}
        first, second = document["front"][:2]
        document["retrained"] = {str(first): {"test": test, "epochs": 40}, str(second): {"test": alone, "epochs": 40}}
        costs = {"params": 1234, "macs": 56789}
        resnet = {"name": "resnet20", "summary": "resnet20 of 0.2 times the width", "costs": costs, "test": test}
        document["baselines"] = [{**resnet, "epochs": 40}]

    document = opened(retrain)
    heads = browser.evaluate("[...document.querySelectorAll('#retrained tbody th')].map((cell) => cell.textContent)")
    assert heads[-1] == "baseline resnet20"
    cells = browser.evaluate("[...document.querySelectorAll('#retrained tbody td')].map((cell) => cell.textContent)")
    assert "85.5 % ± 1.3 (n = 3)" in cells
    assert "83.4 % to 87.6 %" in cells
    assert "85.5 % (n = 1)" in cells
    legend = browser.evaluate("document.getElementById('front-legend').textContent")
    assert "retrained: test 2" in legend
    browser.evaluate(f"location.hash = 'trial={document['front'][0]}'")
    browser.until("document.getElementById('selected').textContent.includes('Test accuracy 85.5 % ± 1.3 (n = 3)')")
    failed = [row["n"] for row in document["trials"] if row["state"] == "failed"]
    told = browser.evaluate("[...document.querySelectorAll('#failures tbody tr > *')].map((cell) => cell.textContent)")
    assert told == ["out of memory", str(len(failed)), ", ".join(map(str, failed)), "out of memory"]


def test_a_box_zooms_and_a_double_click_shows_the_whole_range(browser, opened):
    opened(lambda document: None)
    browser.evaluate("document.getElementById('front-plot').scrollIntoView({block: 'center'})")
    places = browser.evaluate(PLACES)
    whole = browser.evaluate(TICKS)
    left, top = min(x for x, _ in places.values()) + 40, min(y for _, y in places.values()) + 40
    right, bottom = max(x for x, _ in places.values()) + 5, max(y for _, y in places.values()) - 20
    browser.drag((left, top), (right, bottom))
    inside = {number for number, (x, y) in places.items() if left < x < right and top < y < bottom}
    browser.until(f"Object.keys({PLACES}).length < {len(places)}")
    assert set(browser.evaluate(PLACES)) >= inside
    assert browser.evaluate(TICKS) != whole
    assert browser.evaluate(OVERLAPS) == []
    browser.call("Emulation.setDeviceMetricsOverride", width=1100, height=900, deviceScaleFactor=1, mobile=False)
    browser.until("document.querySelector('#front-plot svg').viewBox.baseVal.width < 1000")
    assert set(browser.evaluate(PLACES)) >= inside
    browser.evaluate("document.querySelector('#front-plot svg').dispatchEvent(new MouseEvent('dblclick'))")
    assert len(browser.evaluate(PLACES)) == len(places)


def test_no_text_of_a_document_becomes_markup(browser, opened):
    def poison(document):
        for row in document["trials"]:
            row |= {
                "summary": HOSTILE,
                "id": HOSTILE,
                "failure": f"{HOSTILE}: {HOSTILE}",
                "inherits": {"trial": HOSTILE},
            }
        document["choices"]["names"] = [f"{HOSTILE}{i}" for i in range(len(document["choices"]["names"]))]
        document["choices"]["options"] = [[f"{HOSTILE}{i}" for i in range(99)] for _ in document["choices"]["names"]]
        for measure in document["measures"].values():
            measure["title"] = HOSTILE
        choice = {"path": HOSTILE, "share": 0.5, "chance": 0.1, "above_chance": True, "active": 9, "effect": HOSTILE}
        document["importance"] = {
            "measures": {"val_accuracy": [choice], HOSTILE: [choice]},
            "notes": {HOSTILE: HOSTILE},
        }
        document |= {"study": HOSTILE, "commands": dict.fromkeys(("retrain", "export"), HOSTILE)}
        document |= {"curves": dict.fromkeys(document["curves"], HOSTILE), "on": {"command": HOSTILE, "note": HOSTILE}}
        document["status"] |= {"state": HOSTILE, "counts": {HOSTILE: 3}}

    opened(poison, fragment="#pins=1,2&trial=3&limits=macs:200000")
    browser.until("document.querySelectorAll('#compare-drawings svg').length === 2")
    browser.evaluate("document.getElementById('gallery').scrollIntoView()")
    browser.until("document.querySelector('.card svg')")
    for identity in ("x-axis", "counts", "selected", "compare-text", "choices", "all", "failures", "next-commands"):
        assert HOSTILE in browser.evaluate(f"document.getElementById('{identity}').textContent"), identity
    assert browser.evaluate("document.querySelectorAll('img, main a, main script, [onerror]').length") == 0
    assert browser.dialogs == []
    assert browser.errors == []


def test_intervals_are_drawn_for_the_front(browser, opened):
    def believe(document):
        for row in document["trials"]:
            if row["state"] == "complete":
                mean = row["values"]["val_accuracy"]
                row["believed"] = {
                    "mean": mean,
                    "low": mean - 0.02,
                    "high": mean + 0.02,
                    "margin": 0.01,
                    "p_front": 0.5,
                }
        document["same"] = {str(document["first"]): document["front"][:2]}
        document["n_validation"] = 1234

    opened(believe)
    bars = browser.evaluate("document.querySelector('#front-plot .bars').getAttribute('d').match(/M/g).length")
    assert bars == 3 * len(front_of(browser))
    shown = browser.evaluate("document.getElementById('selected').textContent")
    for text in ("On the front with probability 0.50", "Cannot be told apart from trials", "on 1,234 images"):
        assert text in shown
    assert "n = 1,234 validation images" in browser.evaluate("document.getElementById('front-note').textContent")
