"""HTML report: its content, and that no text of a study becomes markup."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from nas.objectives.limits import Limits
from nas.reports.html import ReportContext, render
from nas.study.selection import pick_records
from nas.study.summary import StudyReader
from nas.study.training_state import TrainingState

HOSTILE = "<script>alert(1)</script>"
CONTEXT = ReportContext("study=invented", "nas search study=invented seed=3", True, {"seed": 3}, "seed: 3\n", {})


class Page(HTMLParser):
    """Parsed page: its tags with attributes, its text and its scripts."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.scripts, self.text, self.open = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "input"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append((self.tags[-1][1], data))
        else:
            self.text.append(data)

    def block(self, identity):
        return next(text for attrs, text in self.scripts if attrs.get("id") == identity)


@pytest.fixture(scope="module")
def report(make_study):
    def make(context=CONTEXT, **how):
        study = make_study(**how)
        reader = StudyReader(study)
        html = render(reader, context)
        page = Page(html)
        return reader, html, page, json.loads(page.block("data"))

    return make


@pytest.fixture(scope="module")
def usual(report):
    return report(message="no memory left")


def test_the_data_are_the_study(usual):
    reader, _, _, data = usual
    assert [trial["n"] for trial in data["trials"]] == list(range(24))
    for trial, record in zip(data["trials"], reader.records, strict=True):
        assert (trial["id"], trial["state"], trial["summary"]) == (
            record.candidate.id,
            "frozen" if record.state == "running" else record.state,  # no search drives it
            record.candidate.summary,
        )
        assert trial["values"]["macs"] == record.candidate.costs["macs"]
        assert trial["curve"]["val_accuracy"] == pytest.approx([row.val_accuracy for row in record.curve], rel=1e-5)
        if record.values:
            assert trial["values"]["val_accuracy"] == record.values["val_accuracy"]
    front = reader.front_document()["front"]
    assert data["front"] == [item["trial"] for item in front]
    assert [trial["n"] for trial in data["trials"] if trial["front"]] == sorted(data["front"])
    assert data["limits"] == {"macs": 1_500_000}
    assert data["progress"]["values"][-1] == pytest.approx(reader.status_document()["hypervolume"], abs=1e-6)
    assert data["progress"]["values"] == sorted(data["progress"]["values"])
    best = pick_records(reader.records, reader.study.believer, "best", Limits())
    assert [data["first"]] == [record.number for record in best]


def test_the_recipe_is_told_with_its_augmentation(usual):
    _, _, page, _ = usual
    told = "3 epochs, sgd at 0.3, cosine, batches of 64, augmentation by flip, images from 75% of their side on"
    assert told in "".join(page.text)


def test_every_trial_has_details_and_the_front_a_table_without_scripts(usual):
    reader, html, page, _ = usual
    details = json.loads(gzip.decompress(base64.b64decode(page.block("details"))))
    assert sorted(map(int, details)) == list(range(24))
    for number, detail in details.items():
        record = reader.records[int(number)]
        assert detail["drawing"].startswith("<svg")
        assert sum(block["macs"] for block in detail["blocks"]) == record.candidate.costs["macs"]
        assert sum(block["params"] for block in detail["blocks"]) == record.candidate.costs["params"]
    front = reader.front_document()["front"]
    assert len(front) > 1
    table = html[html.rindex("<noscript>") :].partition("</noscript>")[0]
    assert table.count("<tr>") == len(front) + 1
    assert [item["summary"] for item in front if item["summary"] not in table] == []


def test_rejections_and_commands_are_told(usual):
    reader, _, page, data = usual
    text = " ".join(page.text)
    status = reader.status_document()
    assert status["trials"]["rejected"] > 0
    assert f"MACs {status['trials']['rejected']}" in text
    assert data["trials"][4]["failure"] == "out_of_memory: no memory left"
    assert "nas search study=again seed=3" in text
    assert data["on"]["command"] == "nas search study=invented seed=3"
    assert data["commands"]["retrain"] == "nas retrain study=invented pick="


def test_nothing_is_fetched(usual):
    _, html, page, _ = usual
    assert not [tag for tag, attrs in page.tags if tag in {"link", "img", "iframe", "base", "object"}]
    assert not [attrs for _, attrs in page.tags if "src" in attrs]
    assert all(attrs["href"].startswith("#") for _, attrs in page.tags if "href" in attrs)
    assert "\r" not in html


def test_the_policy_allows_the_script_and_the_style_that_are_there_and_no_other(usual):
    _, html, page, _ = usual
    policy = next(attrs["content"] for tag, attrs in page.tags if attrs.get("http-equiv"))
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    run = [text for attrs, text in page.scripts if attrs.get("type") == "module"]
    style = html.partition("<style>")[2].partition("</style>")[0]
    for name, texts in (("script-src", run), ("style-src", [style])):
        assert len(texts) == 1
        hashed = base64.b64encode(hashlib.sha256(texts[0].encode()).digest()).decode()
        assert directives[name] == f"'sha256-{hashed}'"
    assert directives["default-src"] == "'none'"
    assert "connect-src" not in directives
    assert not [attrs for _, attrs in page.tags if "style" in attrs]


def test_hostile_names_stay_text(report):
    context = ReportContext(
        f"study={HOSTILE}", f"nas search study={HOSTILE}", True, {}, HOSTILE, {"processor": HOSTILE}
    )
    _, html, page, data = report(context, name="x<script>alert(1)<", trials=12, message=f"{HOSTILE} --> <!-- \u2028")
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 3
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]
    assert data["study"] == "x<script>alert(1)<"
    assert data["trials"][4]["failure"].endswith(f"{HOSTILE} --> <!-- \u2028")
    own = [attrs for attrs, text in page.scripts if "alert(1)" in text and attrs.get("type") == "module"]
    assert own == []
    assert "<!--" not in page.block("data")
    assert "alert(1)" in " ".join(page.text)
    assert re.search(r"<script>alert", html) is None


def test_one_objective_is_told_by_its_best_value(report):
    reader, _, _, data = report(objectives=("val_accuracy",), trials=12)
    complete = [record for record in reader.records if record.values]
    best = reader.study.axes[0].value(reader.study.believer.losses(complete).min())  # not the luckiest measurement
    assert data["single"]
    assert (data["x"], data["y"]) == ("macs", "val_accuracy")
    assert data["progress"]["measure"] == "val_accuracy"
    assert data["progress"]["values"][-1] == pytest.approx(best, abs=1e-6)
    assert len(data["front"]) == 1


def test_three_objectives(report):
    reader, _, _, data = report(objectives=("val_accuracy", "macs", "params"), trials=12)
    assert not data["single"]
    assert [axis["name"] for axis in data["axes"]] == ["val_accuracy", "macs", "params"]
    assert len(data["front"]) == reader.status_document()["front"] > 1


def test_costs_alone_are_shown_over_each_other(report):
    _, _, _, data = report(objectives=("macs", "params"), trials=6)
    assert (data["x"], data["y"]) == ("params", "macs")


def test_an_empty_study(report):
    _, _, page, data = report(trials=0)
    assert (data["trials"], data["front"], data["first"]) == ([], [], None)
    assert data["on"]["command"] == "nas search study=invented seed=3"
    assert "nas search study=again seed=3" in page.text


def test_a_study_whose_first_trial_runs(report):
    _, _, _, data = report(trials=1)
    assert data["progress"]["values"] == []
    assert data["first"] == 0
    assert data["importance"]["measures"]["val_accuracy"] == []


def test_without_anything_beside_it(report):
    _, _, page, data = report(ReportContext("study=invented"), trials=3)
    assert "nas search study=again" not in " ".join(page.text)
    assert data["commands"]["export"] == "nas export study=invented pick="


def test_a_number_that_is_none_is_no_number(make_study):
    study = make_study(trials=2)
    curve = study.records()[0].curve
    odd = type(curve[0])(2, float("nan"), float("inf"), 0.1, 0.1, 0.5)
    study.store_training(1, (*curve[:1], odd), TrainingState(attempt=1))
    html = render(StudyReader(study), CONTEXT)
    data = json.loads(Page(html).block("data"))
    assert data["trials"][1]["curve"]["val_loss"][1] is None
    assert data["trials"][1]["values"]["train_loss"] is None
