"""Rows of ended trials, and redaction of folder names and passwords."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from engine import AXES, TWO, candidate, curve

from nas.jobs import Failure
from nas.objectives.pareto import hypervolume, losses
from nas.study.belief import Believer
from nas.study.training_state import TrainingState
from nas.study.trial import Record
from nas.tracking.redaction import redact
from nas.tracking.rows import BELIEVED, RowBuilder, ended_in_order

TWO_AXES = [AXES[name] for name in TWO]


def record(number: int, accuracy: float | None = None, macs: float = 1e4, **changes: object) -> Record:
    values = None if accuracy is None else {"val_accuracy": accuracy, "macs": macs}
    plain = {
        "number": number,
        "state": "complete" if values else "failed",
        "candidate": candidate(number),
        "curve": curve(2),
        "training": TrainingState(clock=10.0 * number),
        "values": values,
        "failure": None if values else Failure("nan", "the loss of /home/anna/x is not a number"),
    }
    return Record(**plain | changes)


def test_a_row_says_how_the_study_stood_after_its_trial() -> None:
    rows = RowBuilder(Believer.of_measured(TWO_AXES), curves=False)
    skipped = {"rejected": 3, "duplicates": 1}
    rows.add(record(0, 0.6, 1e5, candidate=candidate(0, skipped=skipped)))
    rows.add(record(1))
    row = rows.add(record(2, 0.7, 1e4))
    so_far = row["so_far"]
    assert so_far["front"] == [2]
    assert so_far["counts"] == {"complete": 2, "pruned": 0, "failed": 1, **skipped}
    assert so_far["compute_seconds"] == 6.0
    assert so_far["clock_seconds"] == 20.0
    all_values = [{"val_accuracy": 0.6, "macs": 1e5}, {"val_accuracy": 0.7, "macs": 1e4}]
    assert so_far["hypervolume"] == pytest.approx(hypervolume(losses(TWO_AXES, all_values)))
    assert row["values"] == all_values[1]
    assert "curve" not in row


def test_a_front_that_grows_is_kept_whole() -> None:
    rows = RowBuilder(Believer.of_measured(TWO_AXES), curves=False)
    for number, (accuracy, macs) in enumerate([(0.5, 1e3), (0.9, 1e5), (0.4, 1e4), (0.7, 1e4)]):
        row = rows.add(record(number, accuracy, macs))
    assert row["so_far"]["front"] == [0, 3, 1]


@pytest.mark.few(2)
@pytest.mark.parametrize("count", [1, 63, 64, 65, 200, 1000])
def test_rows_of_many_earlier_trials_have_a_front_now_and_then(count: int) -> None:
    earlier = [record(number, 0.5 + number / 2500, 1e3 + number) for number in range(count)]
    rows = list(RowBuilder(Believer.of_measured(TWO_AXES), curves=False).earlier(earlier))
    one_by_one = RowBuilder(Believer.of_measured(TWO_AXES), curves=False)
    whole = [one_by_one.add(each) for each in earlier]
    with_front = [i for i, row in enumerate(rows) if row["so_far"]["front"] is not None]
    assert len(with_front) <= BELIEVED
    assert with_front[-min(count, BELIEVED // 2) :] == list(range(max(0, count - BELIEVED // 2), count))
    assert count > BELIEVED or rows == whole
    assert all(rows[i] == whole[i] for i in with_front)
    assert [row["so_far"]["counts"] for row in rows] == [row["so_far"]["counts"] for row in whole]


def test_why_a_trial_failed_is_told_by_kind_alone() -> None:
    row = RowBuilder(Believer.of_measured(TWO_AXES), curves=True).add(record(4))
    assert row["failure"] == "nan"
    assert "anna" not in str(row)
    assert [epoch["epoch"] for epoch in row["curve"]] == [1, 2]


def test_trials_come_in_the_order_in_which_they_ended() -> None:
    records = [
        record(0, 0.5, training=TrainingState(clock=30.0)),
        record(1, 0.5, training=TrainingState(clock=10.0)),
        record(2, state="running"),
        record(3, state="pruned", training=TrainingState()),
    ]
    assert [r.number for r in ended_in_order(records)] == [3, 1, 0]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/home/anna/photos/", "photos"),
        ("~/photos", "photos"),
        ("C:\\Users\\anna\\photos", "photos"),
        (Path("/srv/x"), "x"),
        (PurePosixPath("relative/x"), "relative/x"),
        ("owner/name", "owner/name"),
        ("postgresql+psycopg://anna:s3cret@db.example/nas", "postgresql+psycopg://db.example/nas"),
        ("postgresql://anna:s3@cret@db.example/nas", "postgresql://db.example/nas"),
        ("https://example.org/a@b", "https://example.org/a@b"),
        ({"a": ("/x/y", 1, None, True)}, {"a": ["y", 1, None, True]}),
    ],
)
def test_what_is_published_names_no_folder_and_no_password(value: object, shown: object) -> None:
    assert redact(value) == shown
