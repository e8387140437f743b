"""Precision chosen by the device, and settings of a GPU."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from nas.config.training import Recipe
from nas.jobs import Control, Job, Outcome
from nas.training import device, trial
from nas.training.batches import ImageData
from nas.training.checkpoint import load
from nas.training.device import automatic_precision, device_of

AUTO = Recipe(epochs=4, batch_size=8, precision="auto")


@pytest.mark.parametrize("has_cuda", [False, True])
def test_auto_is_a_cuda_gpu_or_the_cpu_and_never_the_gpu_of_a_mac(
    has_cuda: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_cuda)
    assert device_of("auto") == ("cuda" if has_cuda else "cpu")
    assert device_of("mps") == "mps"


def test_a_training_with_auto_is_on_the_device_of_its_images(
    make_job: Callable[..., Job],
    make_network: Callable[..., nn.Module],
    make_recorder: Callable[..., Control],
    data: ImageData,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    asked: list[str] = []
    trainer = trial.pl.Trainer

    def noted(*, accelerator: str, **options: Any) -> pl.Trainer:
        asked.append(accelerator)
        return trainer(accelerator=accelerator, **options)

    monkeypatch.setattr(trial.pl, "Trainer", noted)
    outcome = trial.train(make_network(), data, Recipe(epochs=1, batch_size=8), make_job(0, 1), make_recorder())
    assert outcome.failure is None
    assert asked == ["cpu"]


@pytest.mark.parametrize(
    ("accelerator", "has_bf16", "begun", "chosen"),
    [
        ("auto", True, None, "bf16-mixed"),
        ("cuda", True, None, "bf16-mixed"),
        ("cpu", True, None, "32-true"),
        ("auto", False, None, "32-true"),
        ("auto", True, "32-true", "32-true"),
        ("auto", True, "bf16-mixed", "bf16-mixed"),
        ("auto", False, "bf16-mixed", "32-true"),
    ],
)
def test_auto_is_bf16_where_the_device_has_it_and_the_training_has_not_begun_otherwise(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    accelerator: str,
    has_bf16: bool,
    begun: str | None,
    chosen: str,
) -> None:
    monkeypatch.setattr(device, "_has_bf16", lambda: has_bf16)
    assert automatic_precision(accelerator, begun) == chosen
    told = capsys.readouterr().err
    assert told.startswith(f"training.precision=auto is {chosen} on this device")
    assert ("has begun in" in told) is (begun not in (None, chosen))


def test_a_training_keeps_the_precision_that_it_began_with(
    run_job: Callable[..., Outcome],
    make_job: Callable[..., Job],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    exact = run_job(make_job(0, 4, folder="exact"), dataclasses.replace(AUTO, precision="32-true"))
    first = run_job(make_job(0, 2), AUTO)
    assert first.checkpoint is not None
    assert load(first.checkpoint, {}).identity["precision"] == "32-true"
    monkeypatch.setattr(device, "_has_bf16", lambda: True)
    second = run_job(make_job(2, 4, first.checkpoint, attempt=2), AUTO)
    assert second.failure is None
    assert [row.val_loss for row in second.curve] == [row.val_loss for row in exact.curve]
    assert "has begun in" not in capsys.readouterr().err


def test_a_stored_precision_that_the_device_lacks_is_told(
    run_job: Callable[..., Outcome],
    make_job: Callable[..., Job],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("nas.training.trial.automatic_precision", lambda *_: "bf16-mixed")
    first = run_job(make_job(0, 2), AUTO)
    assert first.checkpoint is not None
    assert load(first.checkpoint, {}).identity["precision"] == "bf16-mixed"
    monkeypatch.setattr("nas.training.trial.automatic_precision", automatic_precision)
    second = run_job(make_job(2, 3, first.checkpoint, attempt=2), AUTO)
    assert second.failure is None
    assert "auto is 32-true on this device; the training has begun in bf16-mixed" in capsys.readouterr().err


@pytest.mark.parametrize("deterministic", [False, True])
def test_settings_of_a_gpu_are_read_without_a_warning(deterministic: bool) -> None:
    """Read them as Lightning does, which raises where newer and older settings of torch are mixed."""
    code = (
        "import torch; from nas.training.device import configure_gpu; "
        f"configure_gpu(deterministic={deterministic}); assert torch.get_float32_matmul_precision() == 'high'; "
        "print(torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == [str(not deterministic), str(deterministic), "True"], done.stderr
