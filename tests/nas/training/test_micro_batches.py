"""Micro-batches: the same steps with less memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from nas.config.training import Recipe
from nas.jobs import Job, Outcome

RECIPE = Recipe(epochs=4, batch_size=8, learning_rate=0.05, ema_decay=0.9, label_smoothing=0.1)


def plain_network(norm: bool) -> nn.Module:
    torch.manual_seed(3)
    middle = [nn.BatchNorm2d(4)] if norm else []
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), *middle, nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


def rows(outcome: Outcome) -> list[tuple[float, ...]]:
    assert outcome.failure is None
    return [(row.train_loss, row.val_loss, row.val_accuracy) for row in outcome.curve]


def test_parts_of_batches_make_the_same_steps(run_job: Callable[..., Outcome], make_job: Callable[..., Job]) -> None:
    whole = run_job(make_job(0, 4, folder="whole"), RECIPE, plain_network(norm=False))
    parts = run_job(make_job(0, 4, folder="parts", micro_batches=2), RECIPE, plain_network(norm=False))
    for one, other in zip(rows(whole), rows(parts), strict=True):
        assert one == pytest.approx(other, abs=1e-4)


def test_batch_norm_sees_the_parts(run_job: Callable[..., Outcome], make_job: Callable[..., Job]) -> None:
    whole = run_job(make_job(0, 1, folder="whole"), RECIPE, plain_network(norm=True))
    parts = run_job(make_job(0, 1, folder="parts", micro_batches=2), RECIPE, plain_network(norm=True))
    assert rows(whole)[0][0] != pytest.approx(rows(parts)[0][0], abs=1e-4)


def test_a_training_goes_on_in_parts(run_job: Callable[..., Outcome], make_job: Callable[..., Job]) -> None:
    first = run_job(make_job(0, 2), RECIPE, plain_network(norm=True))
    job = make_job(2, 4, checkpoint=first.checkpoint, attempt=2, micro_batches=4)
    second = run_job(job, RECIPE, plain_network(norm=True))
    assert len(rows(second)) == 4
    assert rows(second)[:2] == rows(first)


def test_parts_are_counted_from_one(make_job: Callable[..., Job]) -> None:
    with pytest.raises(ValueError, match="micro_batches must be >= 1, got 0"):
        make_job(micro_batches=0)
