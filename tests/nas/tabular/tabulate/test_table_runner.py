"""Runner of a table: the training of a search, with a test after each epoch."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from engine import ONE, space_of

from nas.config.training import Recipe
from nas.data import DataSpec, ImageSet, evaluation_loader, load, load_test
from nas.evaluation.measurement import measure
from nas.evaluation.trial_runner import TrialRunner
from nas.jobs import Epoch, Job
from nas.tabular.tabulate.runner import TableRunner, take_evenly
from nas.tabular.tabulate.task import NetworkTask, read_rows, write_rows
from nas.training.checkpoint_folder import latest
from nas.training.restore import restore_network

EPOCHS, TEST, EARLY = 3, 200, 50
DATA = DataSpec(train_fraction=0.3)
TRIAL = TrialRunner(DATA, Recipe(epochs=EPOCHS, batch_size=32), threads=1, accelerator="cpu")
RUNNER = TableRunner(TRIAL, test_images=TEST, early_test_images=EARLY)


class RecordingControl:
    """Control that records every epoch and stops after `stop` of them."""

    def __init__(self, stop: int = 99) -> None:
        self.rows: list[Epoch] = []
        self.stop = stop

    def epoch_done(self, row: Epoch) -> None:
        self.rows.append(row)

    def should_stop(self) -> bool:
        return len(self.rows) >= self.stop


def job(folder: Path) -> Job:
    architecture = space_of(ONE).draw(random.Random(0)).to_json()
    return Job(0, 1, architecture, 7, 0, EPOCHS, folder)


def resumed(first: Job) -> Job:
    found = latest(first.folder)
    assert found is not None
    return replace(first, attempt=2, from_epoch=found[1], checkpoint=found[0])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, RecordingControl]:
    task, heard = job(tmp_path_factory.mktemp("whole")), RecordingControl()
    assert RUNNER(task, heard).failure is None
    return task, heard


def test_it_trains_as_a_search_does(whole: tuple[Job, RecordingControl], tmp_path: Path) -> None:
    searched = RecordingControl()
    TRIAL(job(tmp_path), searched)
    assert [replace(row, seconds=0.0) for row in whole[1].rows] == [replace(row, seconds=0.0) for row in searched.rows]


def test_every_epoch_has_a_row_with_its_test_accuracy(whole: tuple[Job, RecordingControl]) -> None:
    task, heard = whole
    rows = read_rows(task.folder)
    assert [{name: row[name] for name in heard.rows[0].to_json()} for row in rows] == [r.to_json() for r in heard.rows]
    found = latest(task.folder)
    assert found is not None
    part = take_evenly(load_test(DATA), TEST)
    loader = evaluation_loader(load(DATA), 64, part=part)
    assert (
        rows[-1]["test_accuracy"]
        == measure(restore_network(found[0], task.architecture).network, loader)["test_accuracy"]
    )
    for row, images in zip(rows, (EARLY, EARLY, TEST), strict=True):
        assert row["test_accuracy"] * images == pytest.approx(round(row["test_accuracy"] * images), abs=1e-9)
        assert row["cpu_seconds"] > 0
    assert NetworkTask(0, "n", task.architecture, 0, 7, EPOCHS, task.folder).done


def test_a_stopped_training_resumes_to_the_same_rows(whole: tuple[Job, RecordingControl], tmp_path: Path) -> None:
    first = job(tmp_path)
    assert RUNNER(first, RecordingControl(stop=2)).epoch == 2
    assert not NetworkTask(0, "n", first.architecture, 0, 7, EPOCHS, first.folder).done
    heard = RecordingControl()
    assert RUNNER(resumed(first), heard).failure is None
    assert [row.epoch for row in heard.rows] == [3]
    for mine, unbroken in zip(read_rows(tmp_path), read_rows(whole[0].folder), strict=True):
        for name in ("train_loss", "val_loss", "val_accuracy", "test_accuracy"):
            assert mine[name] == unbroken[name]


def test_a_checkpoint_without_its_row_is_not_resumed(tmp_path: Path) -> None:
    first = job(tmp_path)
    RUNNER(first, RecordingControl(stop=2))
    write_rows(tmp_path, read_rows(tmp_path)[:1])  # as if killed between the checkpoint and its row
    outcome = RUNNER(resumed(first), RecordingControl())
    assert outcome.failure is not None
    assert outcome.failure.kind == "checkpoint"
    assert "must have as many rows beside it, got 1" in outcome.failure.message
    anew = replace(first, attempt=3)
    assert RUNNER(anew, RecordingControl(stop=1)).failure is None
    assert [row["epoch"] for row in read_rows(tmp_path)] == [1]


def test_images_are_evenly_spaced() -> None:
    part = ImageSet(torch.zeros(10, 1, 2, 2, dtype=torch.uint8), torch.arange(10))
    assert take_evenly(part, 4).labels.tolist() == [0, 2, 5, 7]
    assert take_evenly(part, 10) is part
    assert take_evenly(part, 99) is part
