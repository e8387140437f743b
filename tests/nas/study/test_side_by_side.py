"""Several studies side by side: one box, groups over seeds, hypervolume at equal training, one joint front."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine import TWO, FakeExecutor, Setting

from nas.config.budget import Budget
from nas.reports.side_by_side import comparison_table, draw_comparison
from nas.reports.status import lines_within
from nas.study.side_by_side import Course, check_comparable, groups_of, mean, side_by_side
from nas.study.study import StudyMismatchError, open_study
from nas.study.summary import StudyReader, open_for_reading


def made(folder: Path, seed: int, trials: int = 6, objectives: Sequence[str] = TWO, **settings: Any) -> StudyReader:
    Setting(seed=seed, budget=Budget(trials=trials), objectives=objectives).run(folder, FakeExecutor(2))
    study = open_study(folder)
    study.set_attribute("config", {"seed": seed, "study": folder.name, "sampler": {"name": "random"}, **settings})
    study.close()
    return open_for_reading(folder)


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> list[StudyReader]:
    root = tmp_path_factory.mktemp("studies")
    return [
        made(root / "mine-seed0", 0),
        made(root / "other", 5, trials=4, sampler={"name": "tpe"}),
        made(root / "mine-seed1", 1),
        made(root / "mine-seed2", 2),
    ]


def test_studies_that_differ_in_their_seed_alone_are_one_group(readers: list[StudyReader]) -> None:
    groups = groups_of(readers)
    names = {group.name: [course.name for course in group.courses] for group in groups}
    assert names == {"mine": ["mine-seed0", "mine-seed1", "mine-seed2"], "other": ["other"]}


def test_a_seed_does_not_count_twice(readers: list[StudyReader]) -> None:
    with pytest.raises(ValueError, match=r"must differ in their seed, mine-seed1 has seed 1 once more"):
        groups_of([*readers, readers[2]])


def test_they_are_compared_at_the_training_that_all_have(readers: list[StudyReader]) -> None:
    document = side_by_side(readers)
    json.dumps(document, allow_nan=False)
    mine, other = document["groups"]
    least = min(sum(record.seconds for record in reader.records) for reader in readers)
    assert [point["seconds"] for point in mine["at_seconds"]] == pytest.approx([least / 4, least / 2, least])
    assert [point["trials"] for point in other["at_trials"]] == [1, 2, 4]
    for measure in ("at_seconds", "at_trials"):
        values = [point["mean"] for point in other[measure]]
        assert values == sorted(values)
        assert all(point["low"] is None and point["n"] == 1 for point in other[measure])
        assert all(point["low"] <= point["mean"] <= point["high"] and point["n"] == 3 for point in mine[measure])
    assert document["differences"] == ['sampler.name is "random" in mine and "tpe" in other']


def test_the_course_of_a_study_ends_at_its_hypervolume(readers: list[StudyReader]) -> None:
    for reader in readers:
        course = Course(reader)
        whole = reader.status_document()["hypervolume"]
        assert course.at_seconds(math.inf) == pytest.approx(whole)
        assert course.at_trials(len(course.points)) == pytest.approx(whole)
        assert course.at_seconds(0.0) == course.at_trials(0) == 0.0
        assert course.points[-1][0] == pytest.approx(course.seconds)


def test_the_joint_front_is_that_of_all_together(readers: list[StudyReader]) -> None:
    front = side_by_side(readers)["front"]
    joint = [member for member in front if member["joint"]]
    assert 0 < len(joint) < len(front)
    for one in joint:
        for other in front:
            better = other["values"]["val_accuracy"] >= one["values"]["val_accuracy"]
            cheaper = other["values"]["macs"] <= one["values"]["macs"]
            assert not (better and cheaper and other["values"] != one["values"])
    accuracies = [member["values"]["val_accuracy"] for member in front]
    assert accuracies == sorted(accuracies, reverse=True)


def test_other_objectives_or_another_box_are_refused_by_name(readers: list[StudyReader], tmp_path: Path) -> None:
    fewer = made(tmp_path / "one", 0, objectives=("val_accuracy",))
    with pytest.raises(StudyMismatchError, match=r'objectives is \["val_accuracy", "macs"\] in mine-seed0 and'):
        check_comparable([readers[0].study, fewer.study])
    study = made(tmp_path / "box", 0).study
    axes = [dict(axis) for axis in study.fingerprint["objectives"]]
    axes[1]["worst"] = 5e5
    study.fingerprint = {**study.fingerprint, "objectives": axes}
    with pytest.raises(StudyMismatchError, match=r"objectives\[macs\].worst is .* in mine-seed0 and 500000.0 in box"):
        side_by_side([readers[0], StudyReader(study)])


def test_the_interval_is_students() -> None:
    found = mean([0.4, 0.5, 0.6])
    assert (found["mean"], found["n"]) == (pytest.approx(0.5), 3)
    assert found["high"] - found["mean"] == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-5)
    assert mean([0.0, 0.1])["low"] == 0.0


def test_an_empty_study_can_be_compared(readers: list[StudyReader], tmp_path: Path) -> None:
    Setting().study(tmp_path / "empty").close()
    document = side_by_side([readers[0], open_for_reading(tmp_path / "empty")])
    assert document["groups"][1]["at_seconds"][-1]["mean"] == 0.0
    assert document["groups"][1]["at_trials"] == []
    lines_within(comparison_table(document), 100, 50)


def test_the_table_and_the_picture(readers: list[StudyReader], tmp_path: Path) -> None:
    shown = lines_within(comparison_table(side_by_side(readers)), 200, 100)
    assert "Hypervolume at equal training" in shown
    assert 'They differ: sampler.name is "random" in mine' in shown
    for name in ("a.png", "a.svg"):
        draw_comparison(groups_of(readers), readers[0].study.axes, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "a.svg").read_text()
    assert "<svg" in text
    assert "hypervolume" in text or "<use" in text


def test_a_study_of_unknown_settings_is_a_group_of_its_own(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        replace(Setting(), budget=Budget(trials=2)).run(folder)
    assert [group.name for group in groups_of([open_for_reading(folder) for folder in folders])] == ["a", "b"]
