"""Packs: several trainings of one graph as one, against the same trainings alone."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from nas.config.training import Recipe
from nas.jobs import Epoch, Job, Outcome
from nas.training.checkpoint import load
from nas.training.checkpoint_folder import by_epoch
from nas.training.trial import Member, train_pack
from search_space.graph import Dropout, GlobalPool, Graph, Linear, Pool, Seq, Shape, conv
from search_space.network import build

SEEDS = (5, 6, 7)
PLAIN = Recipe(epochs=4, batch_size=8, learning_rate=0.05, label_smoothing=0.1)
CLIPPED = Recipe(
    epochs=4,
    batch_size=8,
    optimizer="adamw",
    learning_rate=0.01,
    schedule="cosine",
    ema_decay=0.8,
    gradient_clip=0.5,
)
GRAPH = Graph(
    Seq((conv(4, 3), Pool("max", (2, 2), (2, 2)), conv(6, 3), GlobalPool(), Dropout(0.2), Linear(3))), Shape(1, 6, 6)
)

MakeJob = Callable[..., Job]
Train = Callable[..., tuple[Outcome, ...]]


@pytest.fixture
def train_members(data: Any, make_recorder: Callable[..., Any]) -> Train:
    def train(jobs: list[Job], recipe: Recipe, controls: list[Any] | None = None) -> tuple[Outcome, ...]:
        members = []
        for job, control in zip(jobs, controls or [make_recorder() for _ in jobs], strict=True):
            torch.manual_seed(job.seed)
            members.append(Member(build(GRAPH), type(data)(seed=job.seed), job, control))
        torch.manual_seed(random.randrange(1000))  # whatever the process drew before must not matter
        return train_pack(members, recipe, accelerator="cpu")

    return train


@pytest.fixture
def jobs(make_job: MakeJob) -> Callable[..., list[Job]]:
    def make(folder: str, begin: int = 0, end: int = 4, attempt: int = 1) -> list[Job]:
        found = [make_job(0, end, None, f"{folder}/{seed}", seed=seed, attempt=attempt) for seed in SEEDS]
        starts = [by_epoch(job.folder).get(begin) if begin else None for job in found]
        pairs = zip(found, starts, strict=True)
        return [dataclasses.replace(job, from_epoch=begin, checkpoint=start) for job, start in pairs]

    return make


def state(outcome: Outcome) -> dict[str, Any]:
    assert outcome.checkpoint is not None
    return vars(load(outcome.checkpoint, {}).state)


def scores(outcome: Outcome) -> list[Epoch]:
    return [dataclasses.replace(row, seconds=0.0) for row in outcome.curve]


@pytest.mark.parametrize("recipe", [PLAIN, CLIPPED], ids=["sgd", "adamw average clip"])
def test_a_member_trains_as_alone(train_members: Train, jobs: Callable[..., list[Job]], recipe: Recipe) -> None:
    packed = train_members(jobs("pack"), recipe)
    for job, outcome in zip(jobs("alone"), packed, strict=True):
        (alone,) = train_members([job], recipe)
        assert outcome.failure is alone.failure is None
        assert outcome.job.seed == job.seed
        for row, expected in zip(outcome.curve, alone.curve, strict=True):
            assert row.epoch == expected.epoch
            assert row.train_loss == pytest.approx(expected.train_loss, rel=1e-3)
            assert row.val_loss == pytest.approx(expected.val_loss, rel=1e-3)
            assert abs(row.val_accuracy - expected.val_accuracy) <= 1 / 24 + 1e-9
        torch.testing.assert_close(state(outcome)["network"], state(alone)["network"], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(state(outcome)["average"], state(alone)["average"], rtol=1e-3, atol=1e-4)
        mine, theirs = state(outcome)["optimizer"], state(alone)["optimizer"]
        torch.testing.assert_close(mine, theirs, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("recipe", [PLAIN, CLIPPED], ids=["sgd", "adamw average clip"])
@pytest.mark.parametrize("stops", [(1, 4), (2, 3, 4)])
def test_a_pack_in_pieces_ends_bit_for_bit_like_an_unbroken_one(
    train_members: Train, jobs: Callable[..., list[Job]], recipe: Recipe, stops: tuple[int, ...]
) -> None:
    whole = train_members(jobs("whole"), recipe)
    found: tuple[Outcome, ...] = ()
    for attempt, (begin, end) in enumerate(zip((0, *stops), stops, strict=False), start=1):
        found = train_members(jobs("pieces", begin, end, attempt), recipe)
    for outcome, expected in zip(found, whole, strict=True):
        assert scores(outcome) == scores(expected)
        for name, value in state(expected).items():
            torch.testing.assert_close(state(outcome)[name], value, rtol=0, atol=0, equal_nan=True)


def test_a_member_goes_on_alone_from_its_checkpoint(train_members: Train, jobs: Callable[..., list[Job]]) -> None:
    whole = train_members(jobs("whole"), PLAIN)
    train_members(jobs("pack", 0, 2), PLAIN)
    (alone,) = train_members([jobs("pack", 2, 4, attempt=2)[1]], PLAIN)
    torch.testing.assert_close(state(alone)["network"], state(whole[1])["network"], rtol=1e-3, atol=1e-4)


class BadLoader:
    """Loader whose images are infinite in one epoch."""

    def __init__(self, loader: Any, epoch: int) -> None:
        self._loader, self._epoch, self._now = loader, epoch, -1

    def __len__(self) -> int:
        return len(self._loader)

    def set_epoch(self, epoch: int) -> None:
        self._now = epoch
        self._loader.set_epoch(epoch)

    def __iter__(self) -> Any:
        for images, labels in self._loader:
            yield images * (float("inf") if self._now == self._epoch else 1.0), labels


def test_a_member_whose_loss_is_not_finite_fails_alone(
    data: Any, jobs: Callable[..., list[Job]], make_recorder: Callable[..., Any]
) -> None:
    members, controls = [], [make_recorder() for _ in SEEDS]
    for index, job in enumerate(jobs("pack")):
        torch.manual_seed(job.seed)
        images = type(data)(seed=job.seed)
        if index == 1:
            images.train_loader = BadLoader(images.train_loader, 2)
        members.append(Member(build(GRAPH), images, job, controls[index]))
    first, bad, last = train_pack(members, PLAIN, accelerator="cpu")
    assert first.failure is last.failure is None
    assert (first.epoch, bad.epoch, last.epoch) == (4, 2, 4)
    assert bad.failure is not None
    assert bad.failure.kind == "nan"
    assert [len(control.rows) for control in controls] == [4, 2, 4]
    assert all(torch.isfinite(value).all() for value in state(first)["network"].values() if isinstance(value, Tensor))


def test_an_unreadable_checkpoint_is_the_failure_of_its_member(
    train_members: Train, jobs: Callable[..., list[Job]]
) -> None:
    train_members(jobs("pack", 0, 2), PLAIN)
    again = jobs("pack", 2, 4, attempt=2)
    assert again[1].checkpoint is not None
    again[1].checkpoint.write_bytes(b"damaged")
    kinds = [outcome.failure and outcome.failure.kind for outcome in train_members(again, PLAIN)]
    assert kinds == ["error", "checkpoint", "error"]


def test_a_pack_keeps_the_epoch_before_until_it_ends(train_members: Train, jobs: Callable[..., list[Job]]) -> None:
    """A kill between two members' checkpoints leaves an epoch that all of them have."""
    seen: dict[Path, list[set[int]]] = {}

    class Watching:
        in_step = True

        def __init__(self, folder: Path) -> None:
            self.folder = folder

        def epoch_done(self, row: Epoch) -> None:
            seen.setdefault(self.folder, []).append(set(by_epoch(self.folder)))

        def should_stop(self) -> bool:
            return False

    given = jobs("pack")
    outcomes = train_members(given, PLAIN, [Watching(job.folder) for job in given])
    for job in given:
        assert seen[job.folder] == [{1}, {1, 2}, {2, 3}, {3, 4}]
    assert [set(by_epoch(outcome.job.folder)) for outcome in outcomes] == [{4}] * 3


def test_seconds_of_a_pack_are_shared_out(train_members: Train, jobs: Callable[..., list[Job]]) -> None:
    packed = train_members(jobs("pack"), PLAIN)
    assert len({outcome.seconds for outcome in packed}) == 1


def test_jobs_of_a_pack_train_one_network_between_the_same_epochs(make_job: MakeJob) -> None:
    first, other = (make_job(folder=f"{seed}", seed=seed) for seed in (0, 1))
    assert dataclasses.replace(first, pack=(other,)).members == (first, other)
    for changes in ({"to_epoch": 2}, {"micro_batches": 2}, {"architecture": {"stages": []}}, {"devices": 2}):
        with pytest.raises(ValueError, match="jobs of a pack must train one network"):
            dataclasses.replace(first, pack=(dataclasses.replace(other, **changes),))
    with pytest.raises(ValueError, match="folders of their own"):
        dataclasses.replace(first, pack=(dataclasses.replace(other, folder=first.folder),))
