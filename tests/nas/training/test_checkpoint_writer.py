"""Checkpoints written by a thread while the training goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nas.config.training import Recipe
from nas.jobs import Curve, Epoch, Job, Outcome
from nas.training.checkpoint import Snapshot, TrainingState, load
from nas.training.checkpoint_folder import Place, latest
from nas.training.checkpoint_writer import CheckpointWriter

RECIPE = Recipe(epochs=6, batch_size=8)
CURVE = tuple(Epoch(k + 1, 0.5, 0.6, 0.7, 0.65, 1.5) for k in range(3))


def state(value: float) -> TrainingState:
    return TrainingState({"it": torch.full((4,), value)}, {}, None, {})


@dataclass
class Gate:
    """Stand-in of `Snapshot.save` that waits until it is opened, and counts what passes."""

    open: threading.Event = field(default_factory=threading.Event)
    passed: list[int] = field(default_factory=list)
    error: Exception | None = None

    def through(self, monkeypatch: pytest.MonkeyPatch) -> Gate:
        save = Snapshot.save

        def waiting(snapshot: Snapshot, identity: Any, curve: Curve, place: Place) -> Path:
            assert self.open.wait(30)
            if self.error is not None:
                raise self.error
            self.passed.append(len(curve))
            return save(snapshot, identity, curve, place)

        monkeypatch.setattr(Snapshot, "save", waiting)
        return self


def test_what_is_written_is_the_state_of_its_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, seen = Gate().through(monkeypatch), list[tuple[int, float]]()
    writer, changing = CheckpointWriter(Place(tmp_path, 1), {"seed": "1"}), state(1.0)

    def written(curve: Curve, path: Path) -> None:
        seen.append((len(curve), float(load(path, {"seed": "1"}).state.network["it"][0])))

    writer.take(changing)
    writer.write(CURVE[:1], written)
    changing.network["it"].fill_(2.0)
    assert latest(tmp_path) is None
    gate.open.set()
    writer.take(changing)
    assert seen == [(1, 1.0)]
    writer.write(CURVE[:2], written)
    writer.wait()
    assert seen == [(1, 1.0), (2, 2.0)]


@pytest.mark.parametrize("call", ["take", "wait", "close"])
def test_an_error_of_a_write_is_raised_once_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    gate = Gate(error=OSError("no space left on device")).through(monkeypatch)
    gate.open.set()
    writer = CheckpointWriter(Place(tmp_path, 1), {})
    writer.take(state(1.0))
    writer.write(CURVE[:1], lambda *_: pytest.fail("reported"))
    with pytest.raises(OSError, match="no space left"):
        getattr(writer, call)(*[state(2.0)] * (call == "take"))
    writer.wait()


class Opens(nn.Module):
    """Network that opens a gate in a step of the training, which counts from 1."""

    def __init__(self, network: nn.Module, gate: Gate, step: int) -> None:
        super().__init__()
        self.network = network

        def open_gate() -> None:  # a function, which copies of a network share
            gate.open.set()

        self.open_gate = open_gate
        self.steps_left = step

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.steps_left -= self.training
        if self.training and self.steps_left == 0:
            self.open_gate()
        logits: torch.Tensor = self.network(images)
        return logits


def test_the_next_epoch_trains_while_a_checkpoint_is_written(
    run_job: Callable[..., Outcome],
    make_job: Callable[..., Job],
    make_network: Callable[..., nn.Module],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Let the first write end only in the second epoch's third step: written in step, the training would never end."""
    unbroken = run_job(make_job(0, 3, folder="plain"), RECIPE)
    gate = Gate().through(monkeypatch)
    outcome = run_job(make_job(0, 3), RECIPE, Opens(make_network(5), gate, 4 + 3))
    assert outcome.failure is None
    assert gate.passed == [1, 2, 3]
    assert [row.val_loss for row in outcome.curve] == [row.val_loss for row in unbroken.curve]


@dataclass
class Asked:
    """Control that hears of epochs in any thread, and requests a stop from a certain question on."""

    stops_at: int = 2
    rows: list[Epoch] = field(default_factory=list)
    asked: int = 0

    def epoch_done(self, row: Epoch) -> None:
        self.rows.append(row)

    def should_stop(self) -> bool:
        self.asked += 1
        return self.asked >= self.stops_at


def test_a_job_asked_to_stop_trains_no_further_epoch(
    run_job: Callable[..., Outcome], make_job: Callable[..., Job]
) -> None:
    control = Asked()
    outcome = run_job(make_job(0, 5), RECIPE, control=control)
    assert (outcome.epoch, control.asked) == (2, 2)
    assert tuple(control.rows) == outcome.curve
    assert outcome.checkpoint == make_job().folder / "attempt1-epoch002.pt"


def test_an_epoch_whose_checkpoint_failed_is_not_reported(
    run_job: Callable[..., Outcome], make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    save, control = Snapshot.save, Asked(stops_at=99)

    def failing(snapshot: Snapshot, identity: Any, curve: Curve, place: Place) -> Path:
        if len(curve) == 2:
            raise OSError(28, "No space left on device")
        return save(snapshot, identity, curve, place)

    monkeypatch.setattr(Snapshot, "save", failing)
    outcome = run_job(make_job(0, 5), RECIPE, control=control)
    assert outcome.failure is not None
    assert outcome.failure.kind == "disk_full"
    assert (outcome.epoch, len(control.rows)) == (1, 1)
    assert outcome.checkpoint == make_job().folder / "attempt1-epoch001.pt"


def test_a_training_that_fails_reports_the_epoch_that_is_being_written(
    run_job: Callable[..., Outcome],
    make_job: Callable[..., Job],
    make_network: Callable[..., nn.Module],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, control = Gate().through(monkeypatch), Asked(stops_at=99)

    class Fails(Opens):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = super().forward(images)
            if self.steps_left == 0:
                raise KeyError("k5")
            return logits

    outcome = run_job(make_job(0, 5), RECIPE, Fails(make_network(5), gate, 4 + 1), control)
    assert outcome.failure is not None
    assert outcome.failure.kind == "error"
    assert (outcome.epoch, len(control.rows)) == (1, 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_snapshot_of_a_gpu_is_of_its_moment(tmp_path: Path) -> None:
    there = {"a": torch.randn(1000, device="cuda"), "b": torch.randn(3, 4, 5, 5, device="cuda")}
    there["b"] = there["b"].contiguous(memory_format=torch.channels_last)
    expected = {name: tensor.cpu() for name, tensor in there.items()}
    snapshot = Snapshot()
    for _ in range(2):
        snapshot.take(TrainingState(dict(there), {0: {"step": torch.tensor(3.0)}}, None, {}))
        for tensor in there.values():
            tensor.add_(1)
        found = load(snapshot.save({}, CURVE[:1], Place(tmp_path, 1)), {}).state
        assert all(torch.equal(found.network[name], tensor) for name, tensor in expected.items())
        expected = {name: tensor.cpu() for name, tensor in there.items()}


def validated(outcome: Outcome) -> list[int]:
    return [row.epoch for row in outcome.curve if row.validated]


@pytest.mark.parametrize(("every", "epochs"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (3, [3, 5]), (9, [5])])
def test_every_nth_epoch_is_validated_and_the_last_one(
    run_job: Callable[..., Outcome], make_job: Callable[..., Job], every: int, epochs: list[int]
) -> None:
    plain = run_job(make_job(0, 5, folder="plain"), RECIPE)
    outcome = run_job(make_job(0, 5), replace(RECIPE, validate_every=every))
    assert outcome.failure is None
    assert validated(outcome) == epochs
    for ours, theirs in zip(outcome.curve, plain.curve, strict=True):
        assert ours.train_loss == theirs.train_loss
        assert ours.seconds > 0
        scores = (ours.val_loss, ours.val_accuracy, ours.val_balanced_accuracy)
        assert scores in ((None, None, None), (theirs.val_loss, theirs.val_accuracy, theirs.val_balanced_accuracy))


def test_a_training_in_pieces_is_validated_where_an_unbroken_one_is_and_at_each_end(
    run_job: Callable[..., Outcome], make_job: Callable[..., Job]
) -> None:
    recipe = replace(RECIPE, validate_every=3)
    whole = run_job(make_job(0, 6, folder="whole"), recipe)
    first = run_job(make_job(0, 2), recipe)
    second = run_job(make_job(2, 6, first.checkpoint, attempt=2), recipe)
    assert (validated(whole), validated(second)) == ([3, 6], [2, 3, 6])
    assert whole.checkpoint is not None
    assert second.checkpoint is not None
    left, right = load(whole.checkpoint, {}).state.network, load(second.checkpoint, {}).state.network
    assert all(torch.equal(value, right[name]) for name, value in left.items())


def test_an_epoch_after_which_a_job_stops_is_validated(
    run_job: Callable[..., Outcome], make_job: Callable[..., Job]
) -> None:
    control = Asked()
    outcome = run_job(make_job(0, 6), replace(RECIPE, validate_every=5), control=control)
    assert (outcome.epoch, validated(outcome)) == (2, [2])
