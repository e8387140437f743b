from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas.config.training import Recipe
from nas.jobs import Epoch, Failure, Job, Outcome
from nas.training.checkpoint import load
from nas.training.checkpoint_folder import latest
from nas.training.epochs import epoch_seed
from nas.training.trial import train

RECIPES = {
    "sgd one-cycle": Recipe(epochs=6, batch_size=8, label_smoothing=0.1),
    "adamw cosine average clip": Recipe(
        epochs=6,
        batch_size=8,
        optimizer="adamw",
        learning_rate=0.01,
        schedule="cosine",
        warmup=0.2,
        ema_decay=0.8,
        gradient_clip=1.0,
    ),
}

RunJob = Callable[..., Outcome]
MakeJob = Callable[..., Job]


def in_pieces(run_job: RunJob, make_job: MakeJob, recipe: Recipe, stops: tuple[int, ...]) -> Outcome:
    """Train in pieces, each with a new network and new loaders as in a fresh process, all state from the checkpoint."""
    folder = "-".join(map(str, stops))
    outcome: Outcome | None = None
    for attempt, (begin, end) in enumerate(zip((0, *stops), stops, strict=False), start=1):
        start = None if outcome is None else outcome.checkpoint
        torch.manual_seed(attempt)  # whatever the process drew before must not matter
        torch.rand(attempt)
        outcome = run_job(make_job(begin, end, start, folder, attempt=attempt), recipe)
        assert outcome.failure is None
        assert outcome.epoch == end
    assert outcome is not None
    return outcome


def without_seconds(outcome: Outcome) -> list[Epoch]:
    return [dataclasses.replace(row, seconds=0.0) for row in outcome.curve]


def assert_same(a: Any, b: Any, path: str = "") -> None:
    """Assert equality to the bit, with dtypes and nested structure."""
    assert type(a) is type(b), path
    if isinstance(a, Tensor):
        assert a.dtype == b.dtype, path
        assert torch.equal(a, b), path
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), path
        for key in a:
            assert_same(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, list):
        assert len(a) == len(b), path
        for index, (left, right) in enumerate(zip(a, b, strict=True)):
            assert_same(left, right, f"{path}/{index}")
    else:
        assert a == b, path


def final_state(outcome: Outcome) -> dict[str, Any]:
    assert outcome.checkpoint is not None
    return dict(vars(load(outcome.checkpoint, {}).state))


@pytest.mark.parametrize("name", RECIPES)
def test_a_training_in_pieces_ends_bit_for_bit_like_an_unbroken_one(
    run_job: RunJob, make_job: MakeJob, name: str
) -> None:
    recipe = RECIPES[name]
    unbroken = in_pieces(run_job, make_job, recipe, (5,))
    assert unbroken.epoch == 5
    for stops in ((2, 5), (1, 2, 3, 4, 5)):
        pieces = in_pieces(run_job, make_job, recipe, stops)
        assert without_seconds(pieces) == without_seconds(unbroken)
        assert_same(final_state(pieces), final_state(unbroken))


def test_the_state_that_must_survive_is_really_there(run_job: RunJob, make_job: MakeJob) -> None:
    state = final_state(run_job(make_job(0, 2), RECIPES["adamw cosine average clip"]))
    assert state["optimizer"][0].keys() == {"step", "exp_avg", "exp_avg_sq"}
    assert state["average"].keys() == state["network"].keys()
    assert not torch.equal(state["average"]["0.weight"], state["network"]["0.weight"])
    assert not torch.equal(state["average"]["1.running_mean"], state["network"]["1.running_mean"])


def test_a_seed_decides_the_training(run_job: RunJob, make_job: MakeJob) -> None:
    recipe = RECIPES["sgd one-cycle"]
    first, again, other = (
        run_job(make_job(0, 2, folder=name, seed=seed), recipe) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert without_seconds(first) == without_seconds(again)
    assert without_seconds(first) != without_seconds(other)


def test_dropout_differs_between_epochs_and_seeds() -> None:
    seeds = {epoch_seed(seed, epoch) for seed in range(20) for epoch in range(20)}
    assert len(seeds) == 400
    assert epoch_seed(1, 11) != epoch_seed(11, 1)
    assert epoch_seed(0, 0) == 3065247057545751466


def test_a_tiny_set_is_learnt(run_job: RunJob, make_job: MakeJob) -> None:
    curve = run_job(make_job(0, 12), Recipe(epochs=12, batch_size=8)).curve
    assert curve[-1].val_accuracy > 0.9
    assert curve[-1].train_loss < 0.5 * curve[0].train_loss
    assert [row.epoch for row in curve] == list(range(1, 13))
    assert all(row.seconds > 0 for row in curve)


def test_the_control_hears_of_an_epoch_when_its_checkpoint_is_on_disk(
    run_job: RunJob, make_job: MakeJob, make_recorder: Callable[..., Any]
) -> None:
    job = make_job(0, 3)
    control = make_recorder()
    seen: list[tuple[Path, int] | None] = []
    remember = control.epoch_done

    def epoch_done(row: Epoch) -> None:
        seen.append(latest(job.folder))
        remember(row)

    control.epoch_done = epoch_done
    outcome = run_job(job, RECIPES["sgd one-cycle"], control=control)
    assert tuple(control.rows) == outcome.curve
    assert [found[1] for found in seen if found] == [1, 2, 3]
    assert outcome.checkpoint == job.folder / "attempt1-epoch003.pt"
    assert list(job.folder.iterdir()) == [outcome.checkpoint]


def test_a_job_asked_to_stop_ends_after_its_epoch_and_can_go_on(
    run_job: RunJob, make_job: MakeJob, make_recorder: Callable[..., Any]
) -> None:
    recipe = RECIPES["sgd one-cycle"]
    stopped = run_job(make_job(0, 5), recipe, control=make_recorder(stop_after=2))
    assert stopped.failure is None
    assert stopped.epoch == 2
    finished = run_job(make_job(2, 5, stopped.checkpoint, attempt=2), recipe)
    unbroken = run_job(make_job(0, 5, folder="unbroken"), recipe)
    assert_same(final_state(finished), final_state(unbroken))


def test_a_job_without_epochs_only_reads_its_checkpoint(run_job: RunJob, make_job: MakeJob) -> None:
    recipe = RECIPES["sgd one-cycle"]
    trained = run_job(make_job(0, 2), recipe)
    job = make_job(2, 2, trained.checkpoint, attempt=2)
    assert run_job(job, recipe) == Outcome(job, trained.curve, trained.checkpoint)
    nothing = make_job(0, 0)
    assert run_job(nothing, recipe) == Outcome(nothing, (), None)


def test_a_straggler_does_not_remove_the_work_of_its_successor(run_job: RunJob, make_job: MakeJob) -> None:
    recipe = RECIPES["sgd one-cycle"]
    successor = run_job(make_job(0, 3, attempt=2), recipe)
    run_job(make_job(0, 1, attempt=1), recipe)
    assert latest(make_job().folder) == (successor.checkpoint, 3)


class Breaks(nn.Module):
    """Network that raises at the first batch of an epoch."""

    def __init__(self, network: nn.Module, error: BaseException | float, epoch: int) -> None:
        super().__init__()
        self.network = network
        self.error = error
        self.steps_left = 4 * epoch

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        if not self.training:
            return logits
        self.steps_left -= 1
        if self.steps_left >= 0:
            return logits
        if isinstance(self.error, BaseException):
            raise self.error
        return logits * self.error


class DataError(ValueError):
    """Error with the name of that of the data room."""


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (float("nan"), Failure("nan", "the training loss must stay finite, got nan")),
        (torch.OutOfMemoryError("CUDA out of memory. Tried\nto allocate"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried 9 bytes"), "out_of_memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "out_of_memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "out_of_memory"),
        (MemoryError(), Failure("out_of_memory", "MemoryError")),
        (DataError("image 3 is torn"), Failure("data", "image 3 is torn")),
        (KeyError("k5"), Failure("error", "KeyError: 'k5'")),
        (RuntimeError("two\n  lines"), Failure("error", "RuntimeError: two lines")),
    ],
)
def test_what_goes_wrong_is_an_outcome_with_what_was_reached(
    run_job: RunJob,
    make_job: MakeJob,
    network: nn.Module,
    error: BaseException | float,
    failure: Failure | str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    job = make_job(0, 4)
    outcome = run_job(job, RECIPES["sgd one-cycle"], Breaks(network, error, epoch=2))
    assert outcome.epoch == 2
    assert outcome.checkpoint == job.folder / "attempt1-epoch002.pt"
    assert outcome.failure is not None
    if isinstance(failure, Failure):
        assert outcome.failure == failure
    else:
        assert outcome.failure == Failure(failure, " ".join(str(error).split()))
    written = capfd.readouterr().err
    assert "Traceback" in written
    assert "in forward" in written or "NotFiniteError" in written


def test_a_loss_that_is_no_number_is_noticed_before_the_epoch_ends(
    make_job: MakeJob, data: Any, network: nn.Module, make_recorder: Callable[..., Any]
) -> None:
    class Endless:
        """Fail the test instead of continuing."""

        steps = 0

        def __len__(self) -> int:
            return 10_000

        def set_epoch(self, epoch: int) -> None:
            assert epoch == 0

        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            while self.steps < 200:
                self.steps += 1
                yield next(iter(data.val_loader))

    loader = Endless()
    data.train_loader = loader
    broken = Breaks(network, float("inf"), epoch=1)
    outcome = train(broken, data, RECIPES["sgd one-cycle"], make_job(0, 1), make_recorder(), "cpu")
    assert outcome.failure is not None
    assert outcome.failure.kind == "nan"
    assert loader.steps <= 51


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_being_told_to_end_passes(run_job: RunJob, make_job: MakeJob, network: nn.Module, error: BaseException) -> None:
    with pytest.raises(SystemExit):  # Lightning turns an interrupt into an exit
        run_job(make_job(0, 4), RECIPES["sgd one-cycle"], Breaks(network, error, epoch=1))


def test_a_damaged_or_foreign_checkpoint_fails_the_job(run_job: RunJob, make_job: MakeJob) -> None:
    recipe = RECIPES["sgd one-cycle"]
    start = run_job(make_job(0, 2), recipe).checkpoint
    assert start is not None

    def message(job: Job, network: nn.Module | None = None, **changes: Any) -> str:
        outcome = run_job(job, dataclasses.replace(recipe, **changes), network)
        assert outcome.failure is not None
        assert outcome.failure.kind == "checkpoint"
        return outcome.failure.message

    assert "must end at the job's from_epoch 3, got epoch 2" in message(make_job(3, 4, start))
    assert "recipe differs" in message(make_job(2, 4, start), label_smoothing=0.2)
    other = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    assert "must fit the network that is resumed" in message(make_job(2, 4, start), other)
    start.write_bytes(start.read_bytes()[:-300])
    assert "must be a readable file" in message(make_job(2, 4, start))


def test_a_job_beyond_the_horizon_is_refused(run_job: RunJob, make_job: MakeJob) -> None:
    assert run_job(make_job(0, 7), RECIPES["sgd one-cycle"]).failure == Failure(
        "error", "ValueError: a job must end within the recipe's 6 epochs, got to_epoch 7"
    )


def test_auxiliary_heads_train_and_are_not_scored(
    run_job: RunJob, make_job: MakeJob, make_network: Callable[..., nn.Module]
) -> None:
    class WithHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk = make_network(5)
            self.head = nn.Linear(36, 3)

        def forward(self, images: Tensor) -> Tensor | tuple[Tensor, list[tuple[Tensor, float]]]:
            logits: Tensor = self.trunk(images)
            if not self.training:
                return logits
            return logits, [(self.head(images.flatten(1)), 0.3)]

    network = WithHead()
    before = network.head.weight.detach().clone()
    outcome = run_job(make_job(0, 1), RECIPES["sgd one-cycle"], network)
    assert outcome.failure is None
    assert not torch.equal(network.head.weight, before)


def test_the_learning_rate_follows_the_full_horizon(
    run_job: RunJob, make_job: MakeJob, make_network: Callable[..., nn.Module]
) -> None:
    """Train two of six epochs at the six-epoch schedule: another horizon gives other weights."""
    six, twelve = (
        run_job(make_job(0, 2, folder=str(epochs)), Recipe(epochs=epochs, batch_size=8)) for epochs in (6, 12)
    )
    assert without_seconds(six) != without_seconds(twelve)


def test_a_training_is_quiet(
    run_job: RunJob, make_job: MakeJob, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run_job(make_job(0, 1), RECIPES["sgd one-cycle"])
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert caplog.records == []


def test_the_loader_is_told_each_epoch_from_zero(
    make_job: MakeJob, data: Any, make_recorder: Callable[..., Any], make_network: Callable[..., nn.Module]
) -> None:
    recipe = RECIPES["sgd one-cycle"]
    told: list[int] = []
    set_epoch = data.train_loader.set_epoch

    def listen(epoch: int) -> None:
        told.append(epoch)
        set_epoch(epoch)

    data.train_loader.set_epoch = listen
    first = train(make_network(), data, recipe, make_job(0, 2), make_recorder(), "cpu")
    assert told == [0, 1]
    train(make_network(), data, recipe, make_job(2, 5, first.checkpoint), make_recorder(), "cpu")
    assert told == [0, 1, 2, 3, 4]


def test_half_precision_trains_and_resumes(run_job: RunJob, make_job: MakeJob) -> None:
    recipe = dataclasses.replace(RECIPES["sgd one-cycle"], precision="bf16-mixed")
    unbroken = in_pieces(run_job, make_job, recipe, (3,))
    pieces = in_pieces(run_job, make_job, recipe, (1, 3))
    assert_same(final_state(pieces), final_state(unbroken))
    exact = run_job(make_job(0, 3, folder="exact"), RECIPES["sgd one-cycle"])
    assert without_seconds(exact) != without_seconds(unbroken)
