"""Document of a study: what its page shows, beside the pages' own tests."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from nas.jobs import EndReason, Epoch
from nas.objectives.pareto import Axis
from nas.reports.document import DocumentMaker, ReportContext, assess, study_document
from nas.reports.document.along_front import explained, near_front
from nas.reports.document.maker import retrained
from nas.reports.document.progress import progress
from nas.reports.document.trials import ABSENT, ChoiceTable, shortened, trial_row
from nas.study.latencies import Latency, MeasuredOn
from nas.study.overview import END
from nas.study.summary import StudyReader
from search_space.architecture import Architecture
from search_space.differences import choices_of

ACCURACY, MACS = Axis("val_accuracy", "maximize", False, 1.0, 0.1), Axis("macs", "minimize", True, 500.0, 4e6)


def budgeted(study, **budget):
    study.set_attribute("budget", {"trials": None, "minutes": None, "trainings": None, **budget})
    return study


def context(**known):
    asked = []

    def search_with(budget):
        asked.append(budget)
        return f"nas search {budget}"

    return ReportContext("study=x", search="nas search study=x", search_with=search_with, **known), asked


@pytest.fixture(scope="module")
def study(make_study):
    return make_study(trials=60)


@pytest.fixture(scope="module")
def document(study):
    return study_document(StudyReader(study), context()[0])


def test_it_is_json_of_finite_numbers(document):
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_rows_hold_the_choices_of_their_networks(document, study):
    names, options = document["choices"]["names"], document["choices"]["options"]
    for row, record in zip(document["trials"], study.records(), strict=True):
        made = {
            name: choices[index]
            for name, choices, index in zip(names, options, row["choices"], strict=False)
            if index != ABSENT
        }
        assert made == choices_of(Architecture.from_json(record.candidate.architecture))


def test_the_belief_is_that_of_the_front(document, study):
    reader = StudyReader(study)
    beliefs = study.believer.beliefs(reader.records)
    rows = {row["n"]: row for row in document["trials"]}
    assert {n for n, row in rows.items() if row["believed"]} == set(beliefs)
    for number, belief in beliefs.items():
        shown = rows[number]["believed"]
        assert shown["low"] <= shown["mean"] <= shown["high"]
        assert shown["mean"] == pytest.approx(belief.means["val_accuracy"], rel=1e-4)
        assert shown["p_front"] == pytest.approx(belief.front_probability, abs=1e-3)
        assert 0 < shown["margin"] < 1
    assert document["front"] == [record.number for record in reader.front]
    assert {document["best"], document["knee"], document["first"]} <= set(document["front"])


def test_a_network_is_like_those_that_its_belief_overlaps_with(document):
    rows = {row["n"]: row for row in document["trials"]}
    apart = 0
    for number, others in document["same"].items():
        assert set(others) <= set(document["front"]) - {int(number)}
        own = rows[int(number)]["believed"]
        for other in set(document["front"]) - {int(number)}:
            gap = abs(own["mean"] - rows[other]["believed"]["mean"])
            reach = np.hypot(own["margin"], rows[other]["believed"]["margin"])
            assert not (other in others and gap > reach)  # the joint belief is at least as sure
            apart += gap > reach
    assert apart > 0


def test_measured_values_have_no_belief(make_study):
    few = StudyReader(make_study(trials=3))
    found = study_document(few, context()[0])
    assert [row["believed"] for row in found["trials"]] == [None] * 3
    assert found["same"] == {}
    assert found["importance"]["measures"]["val_accuracy"] == []
    assert found["importance"]["measures"]["macs"] == []


def test_rows_of_unchanged_trials_stay_the_same_objects(study):
    reader = StudyReader(study)
    maker = DocumentMaker(study, context()[0])
    found = assess(reader.records, study.believer, "val_accuracy")
    first = maker.rows(reader.records, found, driven=True)
    assert all(a is b for a, b in zip(first, maker.rows(reader.records, found, driven=True), strict=True))
    changed = [*reader.records[:-1], replace(reader.records[-1])]
    second = maker.rows(changed, found, driven=True)
    assert [a is b for a, b in zip(first, second, strict=True)] == [True] * 59 + [False]
    assert (first[-1]["state"], maker.rows(changed, found, driven=False)[-1]["state"]) == ("running", "frozen")


def test_long_curves_are_shortened_to_epochs_that_were_validated():
    curve = tuple(
        Epoch(n, 1.0, 1.0 if n % 3 == 0 else None, 0.5 if n % 3 == 0 else None, 0.5 if n % 3 == 0 else None, 1.0)
        for n in range(1, 301)
    )
    short = shortened(curve, 60)
    assert len(short) <= 60
    assert (short[0].epoch, short[-1].epoch) == (1, 300)
    assert all(row.validated for row in short[1:])
    assert shortened(curve[:60], 60) == curve[:60]


def test_a_choice_table_only_grows():
    table = ChoiceTable()
    assert table.row({"a": 1, "b": "x"}) == [0, 0]
    assert table.row({"c": 1.0, "a": 2}) == [1, ABSENT, 0]
    assert table.row({"a": 1}) == [0]
    assert table.row({"a": True}) == [2]  # 1 == True, and they are different options
    assert table.to_json() == {"names": ["a", "b", "c"], "options": [[1, 2, True], ["x"], [1.0]]}


def test_progress_over_trials_seconds_and_clock(study):
    records = study.records()
    complete = [record for record in records if record.values]
    found = progress(records, complete, study.believer.losses(complete), study.axes)
    columns = [found[name] for name in ("trials", "seconds", "clock", "values")]
    assert len({len(column) for column in columns}) == 1
    assert columns[0][-1] == sum(record.ended for record in records)
    assert columns[1][-1] == pytest.approx(sum(record.spent for record in records if record.ended), abs=1e-3)
    assert columns[2] == sorted(columns[2])
    assert columns[3] == sorted(columns[3])
    values = columns[3]
    assert not [n for n in range(1, len(values) - 1) if values[n - 1] == values[n] == values[n + 1]]


def test_choices_that_the_macs_follow_from_along_the_front(study):
    records = study.records()
    found = explained(records, ACCURACY, "macs")
    shares = {choice["path"]: choice["share"] for choice in found.choices}
    assert all(0 <= share <= 1 for share in shares.values())
    assert found.choices[0]["path"] == "stem.stride"  # four times the MACs in all blocks
    assert found.choices[0]["above_chance"]
    near = near_front(records, ACCURACY, "macs")
    assert found.trials == len(near) < len(records)
    front = [record for record in records if record.number in {r.number for r in near}]
    best = max((record for record in records if record.values), key=lambda record: record.values["val_accuracy"])
    assert best in front


def test_a_used_up_budget_is_doubled_in_its_own_unit(make_study):
    reader = StudyReader(budgeted(make_study(trials=12), trials=10))
    facts, asked = context()
    found = study_document(reader, facts)["on"]
    assert asked == [{"trials": 20}]
    assert found["command"] == "nas search {'trials': 20}"
    assert found["note"].startswith("The budget of 10 trials is used up")
    reader = StudyReader(budgeted(reader.study, minutes=0.25, trials=1000))
    facts, asked = context()
    study_document(reader, facts)
    assert asked == [{"minutes": 0.5}]


def test_a_budget_that_is_not_used_up_goes_on_with_the_same_command(make_study):
    study = budgeted(make_study(trials=12), trials=100)
    facts, asked = context()
    found = study_document(StudyReader(study), facts)["on"]
    assert asked == []
    assert found["command"] == "nas search study=x"
    assert "10 of 100 trials" in found["note"]
    study.set_attribute(END, EndReason.EXHAUSTED)
    assert study_document(StudyReader(study), facts)["on"]["command"] is None
    study.set_attribute(END, EndReason.CONVERGED)
    study_document(StudyReader(study), facts)
    assert asked == [{"min_gain": None}]


def test_means_of_retrained_networks_have_an_interval_from_two_seeds_on():
    def result(trial, n, sd):
        scores = {"mean": 0.9, "sd": sd, "n": n}
        return {"trial": trial, "test_accuracy": scores, "val_accuracy": scores, "training": {"epochs": 40}}

    found = retrained([result(3, 3, 0.01), result(5, 1, None)])
    low, high = found["3"]["test"]["interval"]
    assert (low + high) / 2 == pytest.approx(0.9)
    assert high - low == pytest.approx(2 * 2.91999 * 0.01 / 3**0.5, rel=1e-4)  # Student's t, 2 degrees of freedom, 95 %
    assert found["5"]["test"]["interval"] is None
    assert found["5"]["epochs"] == 40


def test_measured_latencies_are_a_measure_of_the_page(study):
    network = study.records()[3].candidate.network_id
    latencies = {network: Latency(2.5, 2.0, 3.0, True)}
    measured = MeasuredOn({"model": "<b>phone"}, {"runtime": "torch", "batch": 1, "threads": 1}, latencies)
    maker = DocumentMaker(study, context(measured=[measured])[0])
    records = study.records()
    assessment = assess(records, study.believer, "val_accuracy")
    name = f"measured_{measured.key}"
    fields = maker.fields(records, assessment, driven=False)
    assert fields["measures"][name] == {
        "title": "measured latency (ms), torch on <b>phone",
        "log": True,
        "share": False,
        "measured": True,
    }
    assert name not in fields["costs"]
    rows = maker.rows(records, assessment, driven=False)
    assert {row["n"] for row in rows if name in row["values"]} == {
        record.number for record in records if record.candidate.network_id == network
    }
    assert rows[3]["values"][name] == 2.5
    maker.context = replace(maker.context, measured=[])
    assert name not in maker.rows(records, assessment, driven=False)[3]["values"]


def test_a_row_says_which_costs_are_outside_the_fitted_range(study):
    record = study.records()[0]
    outside = replace(record, candidate=replace(record.candidate, extrapolated=("latency_ms",)))
    assert trial_row(outside, [], 5, driven=False)["extrapolated"] == ["latency_ms"]
    assert "extrapolated" not in trial_row(record, [], 5, driven=False)
