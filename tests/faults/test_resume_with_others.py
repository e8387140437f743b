"""Searches that go on in a study with damaged trials and with trials of other programs, and imports of results."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import engine
import optuna
import pytest
from engine import EPOCHS, IMAGE, SMALL, FakeExecutor, Setting, curve, fingerprint, row, space_of
from optuna.trial import TrialState, create_trial

from nas.config.budget import Budget
from nas.objectives.limits import Limits
from nas.search.imports import Importer, read_results
from nas.study.parameters import Draw
from nas.study.storage.errors import StudyLockedError
from nas.study.storage.factory import locked_store
from nas.study.study import open_study
from search_space.architecture import Architecture
from search_space.identity import network_id
from search_space.lowering import lower, normalise

SPACE = space_of(SMALL)
KNOWN = {**SMALL, "input": list(IMAGE), "classes": 10}


@pytest.fixture(autouse=True)
def known_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies say of which images their space is, as those of `nas search` do."""
    monkeypatch.setattr(
        engine, "fingerprint", lambda objectives, **changes: fingerprint(objectives, **changes | {"space": KNOWN})
    )


def new_architectures(folder: Path, count: int) -> list[Architecture]:
    """Architectures of the space whose networks the study has not."""
    known = {record.candidate.network_id for record in open_study(folder).records()}
    generator, found, one = random.Random(5), [], None
    first = open_study(folder).records()[0].candidate.architecture
    one = normalise(Architecture.from_json(first))
    while len(found) < count:
        one = SPACE.mutate(one, generator)
        if (identity := network_id(lower(one))) not in known:
            known.add(identity)
            found.append(one)
    return found


def theirs(folder: Path) -> optuna.Study:
    return optuna.load_study(study_name="study", storage=f"sqlite:///{folder / 'study.db'}")


def searched(folder: Path, trials: int, **changes: Any) -> FakeExecutor:
    executor = FakeExecutor()
    assert Setting(budget=Budget(trials=trials), **changes).run(folder, executor) == "budget"
    return executor


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2"])
def test_a_resume_goes_on_without_a_damaged_trial_and_trains_another(tmp_path: Path, sampler: str) -> None:
    searched(tmp_path, 4, sampler=sampler)
    with closing(sqlite3.connect(tmp_path / "study.db")) as connection:
        connection.execute("UPDATE trial_user_attributes SET value_json = '7' WHERE trial_id = 2 AND key = 'costs'")
        connection.execute("UPDATE trials SET state = 'RUNNING' WHERE trial_id = 2")
        connection.commit()
    executor = searched(tmp_path, 6, sampler=sampler)
    assert {job.trial for job in executor.jobs} == {4, 5, 6}  # three: the damaged one counts for no budget
    records = open_study(tmp_path).records()
    assert [record.number for record in records] == [0, 2, 3, 4, 5, 6]
    asks = [record.candidate.ask for record in records]
    assert len(set(asks)) == len(asks)


def test_a_last_ask_that_is_damaged_is_not_asked_again(tmp_path: Path) -> None:
    searched(tmp_path, 3)
    last = open_study(tmp_path).records()[-1].candidate.ask
    with closing(sqlite3.connect(tmp_path / "study.db")) as connection:
        connection.execute("DELETE FROM trial_user_attributes WHERE trial_id = 3 AND key = 'seed'")
        connection.execute("DELETE FROM study_user_attributes WHERE key = 'tail'")
        connection.commit()
    searched(tmp_path, 3)
    assert open_study(tmp_path).records()[-1].candidate.ask > last


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2"])
def test_an_enqueued_network_is_trained_next_in_its_own_trial(tmp_path: Path, sampler: str) -> None:
    searched(tmp_path, 3, sampler=sampler)
    wish = new_architectures(tmp_path, 1)[0]
    params = dict(Draw.of(SPACE, wish).params)
    theirs(tmp_path).enqueue_trial(params)
    theirs(tmp_path).enqueue_trial({"x": 1})
    executor = searched(tmp_path, 5, sampler=sampler)
    assert executor.jobs[0].trial == 3
    assert executor.jobs[0].architecture == wish.to_json()
    record = next(one for one in open_study(tmp_path).records() if one.number == 3)
    assert (record.state, record.candidate.imported, dict(record.candidate.params)) == ("complete", False, params)
    assert [trial.state for trial in theirs(tmp_path).trials[:5]] == [*[TrialState.COMPLETE] * 4, TrialState.WAITING]


def test_an_enqueued_network_over_a_limit_waits_on_and_the_search_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    searched(tmp_path, 2)
    costs = {record.number: record.candidate.costs for record in open_study(tmp_path).records()}
    limit = max(cost["params"] for cost in costs.values())
    generator = random.Random(1)
    wish = new_architectures(tmp_path, 1)[0]
    while _params(wish) <= limit:
        wish = SPACE.mutate(wish, generator)
    theirs(tmp_path).enqueue_trial(dict(Draw.of(SPACE, wish).params))
    executor = searched(tmp_path, 3, limits=Limits(max_params=limit))
    assert [job.trial for job in executor.jobs] == [3]
    assert "trial 2, which was enqueued, is left out: its network is over a limit" in caplog.text


def _params(architecture: Architecture) -> float:
    from nas.objectives.requirements import exact_measure  # noqa: PLC0415 - here alone

    return exact_measure()(architecture)[1]["params"]


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2"])
def test_results_of_others_are_told_to_the_sampler_and_count_for_no_budget(tmp_path: Path, sampler: str) -> None:
    searched(tmp_path, 3, sampler=sampler)
    draw = Draw.of(SPACE, new_architectures(tmp_path, 1)[0])
    theirs(tmp_path).add_trial(
        create_trial(values=[0.99, 1.0], params=dict(draw.params), distributions=dict(draw.distributions))
    )
    search = Setting(sampler=sampler, budget=Budget(trials=5)).search(tmp_path, FakeExecutor())
    view = search._parts.view.study  # type: ignore[attr-defined]
    assert view.trials[0].params == draw.params
    assert search.run() == "budget"
    assert sum(record.candidate.imported for record in open_study(tmp_path).records()) == 1
    assert len(open_study(tmp_path).records()) == 6


def importing(folder: Path, documents: list[Mapping[str, Any]]) -> list[tuple[int, bool]]:
    file = folder.parent / "results.json"
    file.write_text(json.dumps(documents))
    with locked_store(folder, "sqlite") as store:
        importer = Importer(open_study(folder, store))
        results = [importer.check(place, document) for place, document in read_results([str(file)])]
        return [(one.trial, one.new) for one in importer.store(results)]


def test_imported_results_are_trials_with_exact_costs(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    searched(folder, 3)
    one, other = new_architectures(folder, 2)
    rows = [epoch.to_json() for epoch in curve(EPOCHS, accuracy=0.75)]
    columns = {name: [epoch[name] for epoch in rows] for name in rows[0]}
    known = open_study(folder).records()[1]
    told = importing(
        folder,
        [
            {"architecture": one.to_json(), "values": {"val_accuracy": 0.5}, "seed": 9, "seconds": 4},
            {"architecture": other.to_json(), "curve": columns},
            {"architecture": dict(known.candidate.architecture), "curve": rows},
            {"architecture": one.to_json(), "curve": rows},
        ],
    )
    assert told == [(3, True), (4, True), (1, False), (3, False)]
    first, second = open_study(folder).records()[3:]
    assert (first.candidate.imported, first.candidate.seed, first.curve, first.training.seconds) == (True, 9, (), 4)
    assert first.values == {"val_accuracy": 0.5, "macs": first.candidate.costs["macs"]}
    assert first.candidate.network_id == network_id(lower(one))
    assert second.curve == curve(EPOCHS, accuracy=0.75)
    assert second.values is not None
    assert second.values["val_accuracy"] == 0.75
    assert second.spent == 0
    assert dict(second.candidate.params) == dict(Draw.of(SPACE, other).params)
    executor = searched(folder, 4)
    assert {job.trial for job in executor.jobs} == {5}
    asks = [record.candidate.ask for record in open_study(folder).records()]
    assert asks == sorted(set(asks))


OUTSIDE = {"input": [1, 8, 8], "classes": 10, "stem": {"width": 5}, "stages": []}
WRONG: dict[str, tuple[Mapping[str, Any], str]] = {
    "accuracy 7": ({"values": {"val_accuracy": 7}}, "val_accuracy must be a finite number from 0 to 1, got 7"),
    "no result": ({}, "a result must have a curve, or values.val_accuracy"),
    "nan": ({"values": {"val_accuracy": float("nan")}}, "val_accuracy must be a finite number from 0 to 1, got NaN"),
    "negative seconds": ({"values": {"val_accuracy": 0.5}, "seconds": -1}, "seconds must be a finite number of at l"),
    "other MACs": ({"values": {"val_accuracy": 0.5, "macs": 1}}, "macs must be the network's"),
    "unknown value": ({"values": {"val_accuracy": 0.5, "luck": 1}}, "got also luck"),
    "unknown key": ({"vals": {}}, "got also vals"),
    "another architecture": ({"architecture": OUTSIDE}, "architecture must be of the space small"),
    "no architecture": ({"architecture": {"a": 1}}, "architecture must be one: "),
    "a name": ({"architecture": "nonet"}, "it must be a JSON object or one of "),
    "short curve": ({"curve": [row(1).to_json()]}, f"a curve must have {EPOCHS} epochs, as here, got 1"),
    "uneven columns": ({"curve": {"train_loss": [1], "val_loss": []}}, "columns of a curve must be"),
    "curve of accuracy 2": (
        {"curve": [{**row(epoch).to_json(), "val_accuracy": 2} for epoch in range(1, EPOCHS + 1)]},
        "val_accuracy of epoch 1 of the curve must be a finite number from 0 to 1, got 2",
    ),
    "seed of a text": ({"values": {"val_accuracy": 0.5}, "seed": "x"}, "seed must be an integer"),
}


def test_a_result_out_of_its_range_is_refused_and_nothing_is_stored(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    searched(folder, 2)
    good = {"architecture": new_architectures(folder, 1)[0].to_json(), "values": {"val_accuracy": 0.5}}
    plain = {"architecture": good["architecture"]}
    for name, (changes, law) in WRONG.items():
        with pytest.raises(ValueError, match=r"results\.json, result 2: ") as refused:
            importing(folder, [good, {**plain, **changes}])
        assert law in str(refused.value), name
    assert len(open_study(folder).records()) == 2


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("", "must hold results in JSON"),
        ("{", "must hold results in JSON"),
        ("[]", "must hold a result, it holds none"),
    ],
)
def test_files_without_results_are_named(tmp_path: Path, text: str, law: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=law):
        list(read_results([str(tmp_path / "a.json")]))


def test_one_result_a_line_and_absent_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n')
    assert [document for _, document in read_results([str(tmp_path / "a.jsonl")])] == [{"a": 1}, {"a": 2}]
    with pytest.raises(ValueError, match=r"gone\.json must be a file of results"):
        list(read_results([str(tmp_path / "gone.json")]))


def test_no_import_while_a_search_drives_the_study(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    searched(folder, 2)
    with locked_store(folder, "sqlite"), pytest.raises(StudyLockedError):
        importing(folder, [])
