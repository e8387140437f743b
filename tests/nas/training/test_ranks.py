"""Trainings over several real processes, against the same training in one."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rank_runners import ColumnRunner, RankControl, run_rank
from torch import nn

from nas.config.training import Recipe
from nas.jobs import Failure, Job, Outcome
from nas.training.checkpoint import load
from nas.training.epochs import own_rows, split_batch
from nas.training.module import micro_batch_momentum
from nas.training.ranks import Ranks
from nas.workers.local.forked_process import interrupts_blocked

RECIPE = Recipe(epochs=4, batch_size=15, learning_rate=0.05, label_smoothing=0.1)
AVERAGED = replace(RECIPE, optimizer="adamw", learning_rate=0.01, ema_decay=0.8, gradient_clip=0.5)
RECIPES = [
    pytest.param(RECIPE, id="sgd", marks=pytest.mark.slow),
    pytest.param(AVERAGED, id="adamw averaged clipped"),
]
PLAIN: dict[str, Any] = {"norm": False, "dropout": 0.0}
NORM: dict[str, Any] = {"norm": True, "dropout": 0.0}
ALL: dict[str, Any] = {"norm": True, "dropout": 0.3}
MakeJob = Callable[..., Job]


def alone(recipe: Recipe, job: Job) -> Outcome:
    return ColumnRunner(recipe)(job, RankControl(0, None))


def together(recipe: Recipe, job: Job, stop_after: int | None = None) -> list[Outcome]:
    """Train in a fresh process for each rank, and return the outcomes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nas.training.trial", "nas.workers.local.process_group"])
    job.folder.mkdir(parents=True, exist_ok=True)
    meeting = job.folder / f"meeting{job.attempt}"
    with interrupts_blocked():  # the fork server is the same for all tests, and some ask whether it is deaf
        pool = context.Pool(job.devices, maxtasksperchild=1)
    with pool:
        tasks = [(ColumnRunner(recipe), job, index, meeting, stop_after) for index in range(job.devices)]
        return pool.starmap(run_rank, tasks, chunksize=1)


def rows(outcome: Outcome) -> list[tuple[float, ...]]:
    assert outcome.failure is None, outcome.failure
    return [(row.train_loss, row.val_loss, row.val_accuracy, row.val_balanced_accuracy) for row in outcome.curve]


def assert_close(one: Outcome, other: Outcome) -> None:
    """Compare two outcomes with a tolerance of 1e-3; they differ in the order of additions."""
    assert len(rows(one)) == len(rows(other)) > 0
    for left, right in zip(rows(one), rows(other), strict=True):
        assert left == pytest.approx(right, abs=1e-5)


def weights(outcome: Outcome) -> dict[str, torch.Tensor]:
    assert outcome.checkpoint is not None
    state = load(outcome.checkpoint, {}).state
    return {
        name: tensor
        for name, tensor in (state.average or state.network).items()
        if not name.endswith("num_batches_tracked")
    }


@pytest.mark.parametrize("recipe", RECIPES)
def test_two_processes_train_like_one_on_whole_batches(make_job: MakeJob, recipe: Recipe) -> None:
    """Train without batch norm; 15 images don't halve, and the last batch has 9."""
    one = alone(recipe, make_job(0, 4, folder="one", architecture=PLAIN))
    first, second = together(recipe, make_job(0, 4, folder="two", architecture=PLAIN, devices=2))
    assert_close(first, one)
    assert rows(first) == rows(second)
    assert second.checkpoint is None
    torch.testing.assert_close(weights(first), weights(one), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(
    ("devices", "parts"),
    [(2, 1), pytest.param(3, 1, marks=pytest.mark.slow), pytest.param(2, 2, marks=pytest.mark.slow)],
)
def test_processes_train_like_one_that_normalises_the_parts_apart(
    make_job: MakeJob, recipe: Recipe, devices: int, parts: int
) -> None:
    """Train with batch norm and dropout: weights, running statistics and average equal those of one process."""
    one = alone(recipe, make_job(0, 3, folder="one", architecture=ALL, micro_batches=devices * parts))
    job = make_job(0, 3, folder="many", architecture=ALL, micro_batches=parts, devices=devices)
    first, *_ = together(recipe, job)
    assert_close(first, one)
    torch.testing.assert_close(weights(first), weights(one), rtol=1e-4, atol=1e-5)


def test_whole_batches_differ_where_there_is_batch_norm(make_job: MakeJob) -> None:
    """Show that the tests above would fail if the ranks shared batch norms or did not average the statistics."""
    one = alone(RECIPE, make_job(0, 1, folder="one", architecture=NORM))
    parts = alone(RECIPE, make_job(0, 1, folder="parts", architecture=NORM, micro_batches=2))
    assert rows(one)[0] != pytest.approx(rows(parts)[0], abs=1e-4)


@pytest.mark.slow
def test_all_ranks_stop_after_the_epoch_in_which_one_is_asked_and_go_on_from_there(
    make_job: MakeJob, tmp_path: Path
) -> None:
    unbroken = together(RECIPE, make_job(0, 4, folder="unbroken", architecture=ALL, devices=2))
    stopped = together(RECIPE, make_job(0, 4, folder="pieces", architecture=ALL, devices=2), stop_after=2)
    assert [outcome.epoch for outcome in stopped] == [2, 2]
    assert stopped[0].checkpoint is not None
    kept = stopped[0].checkpoint.rename(tmp_path / "kept.pt")
    ended = together(RECIPE, make_job(2, 4, kept, "pieces", architecture=ALL, devices=2, attempt=2))
    assert rows(ended[0]) == rows(unbroken[0])
    torch.testing.assert_close(weights(ended[0]), weights(unbroken[0]), rtol=0, atol=0)
    assert_close(alone(RECIPE, make_job(2, 4, kept, "alone", architecture=ALL, micro_batches=2)), unbroken[0])


def test_a_job_over_devices_needs_as_many_processes(make_job: MakeJob) -> None:
    message = "ValueError: a job over 2 devices must have as many processes, got 1"
    assert alone(RECIPE, make_job(0, 1, architecture=PLAIN, devices=2)).failure == Failure("error", message)


def test_a_batch_is_cut_into_parts_that_are_its_images_in_order() -> None:
    images, labels = torch.arange(70.0).view(7, 1, 2, 5), torch.arange(7)
    parts = split_batch((images, labels), 3)
    assert torch.equal(torch.cat([part[0] for part in parts]), images)
    assert [part[1].tolist() for part in parts] == [[0, 1, 2], [3, 4], [5, 6]]
    assert sum(share for _, _, share in parts) == pytest.approx(1)
    with pytest.raises(ValueError, match="a batch must have an image for each of its 8 parts, got 7"):
        split_batch((images, labels), 8)


@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 40))
def test_a_process_has_the_rows_of_its_parts(count: int, micro_batches: int, more: int) -> None:
    labels = torch.arange(count * micro_batches + more)
    parts = split_batch((labels[:, None], labels), count * micro_batches)
    for index in range(count):
        own = torch.cat([part[1] for part in parts[index * micro_batches : (index + 1) * micro_batches]])
        assert torch.equal(labels[own_rows(len(labels), Ranks(index, count), micro_batches)], own)


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_running_statistics_of_parts_follow_their_mean(parts: int) -> None:
    norm, batches = nn.BatchNorm1d(2, momentum=0.3), torch.randn(parts, 6, 2, generator=torch.manual_seed(1))
    nn.init.constant_(norm.running_mean, 4.0)
    for part, batch in enumerate(batches):
        norm.momentum = micro_batch_momentum(0.3, part, parts)
        norm(batch)
    torch.testing.assert_close(norm.running_mean, 0.7 * 4 + 0.3 * batches.mean(dim=(0, 1)))
    torch.testing.assert_close(norm.running_var, torch.full((2,), 0.7) + 0.3 * batches.var(dim=1).mean(dim=0))
