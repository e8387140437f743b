"""Report of the GPU checks, their processes, and the checks themselves as far as a CPU runs them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import types
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import gpu
import pytest
import torch
from gpu_checks import equality, speed
from gpu_checks.base import ANY, GPU, GPUS, Check, Context, Missed, Skipped
from gpu_checks.catalogue import CHECKS
from gpu_checks.noting import noting
from gpu_checks.trainings import loaders, network_of, patterned
from torch import nn

from nas.config.training import Recipe

CPU = gpu.Machine({"gpus": [], "torch": "2.13.0"}, "no GPU is visible")
ONE = gpu.Machine({"gpus": [{"name": "toy"}], "torch": "2.13.0"}, "")


def check(name: str, needs: str = ANY) -> Check:
    return Check(name, name, "equality:packed", needs, 60)


def passing(given: Check, context: Context, seconds: float) -> gpu.Result:
    assert context.folder.is_dir()
    return gpu.Result(given.name, gpu.PASSED)


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context("cpu", 0, tmp_path)


@pytest.mark.parametrize("given", CHECKS, ids=lambda given: given.name)
def test_every_check_of_the_catalogue_exists(given: Check) -> None:
    module, name = given.place.split(":")
    assert callable(getattr(import_module(f"gpu_checks.{module}"), name))
    assert given.needs in (ANY, GPU, GPUS)


def test_names_of_checks_differ() -> None:
    assert len({given.name for given in CHECKS}) == len(CHECKS)


def test_what_a_machine_lacks_is_skipped_with_the_reason() -> None:
    checks = [check("any"), check("one", GPU), check("two", GPUS)]
    ends = time.monotonic() + 100
    on_cpu, on_one = (list(gpu.run_all(checks, machine, ends, passing)) for machine in (CPU, ONE))
    assert [result.status for result in on_cpu] == ["passed", "skipped", "skipped"]
    assert [result.status for result in on_one] == ["passed", "passed", "skipped"]
    assert on_cpu[1].reason == on_cpu[2].reason == "no GPU is visible"
    assert on_one[2].reason == "two GPUs are needed, there is one"


def test_no_check_begins_after_the_time_is_up() -> None:
    (result,) = gpu.run_all([check("late")], CPU, time.monotonic() + 1, passing)
    assert (result.status, result.reason) == ("skipped", "the time is up")


def test_a_check_has_its_own_time_or_what_is_left() -> None:
    given: list[float] = []

    def noting(given_check: Check, context: Context, seconds: float) -> gpu.Result:
        given.append(seconds)
        return passing(given_check, context, seconds)

    for left in (1000, 30):
        list(gpu.run_all([check("a")], CPU, time.monotonic() + left, noting))
    assert given[0] == 60
    assert 29 < given[1] <= 30


def test_a_check_that_hangs_is_killed_and_reported(context: Context) -> None:
    result = gpu.run_child(CHECKS[0], context, 0.05)
    assert (result.status, result.reason) == ("failed", "it ran longer than 0 s")


def test_a_check_that_crashes_is_reported_with_the_end_of_its_output(tmp_path: Path) -> None:
    log = "\n".join(map(str, range(100)))
    result = gpu.outcome_of(check("a"), tmp_path / "none", -11, log, 60)
    assert (result.status, result.reason) == ("failed", "its process ended with code -11")
    assert result.log == [str(number) for number in range(100 - gpu.LOG_LINES, 100)]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Skipped("no bf16"), {"status": "skipped", "reason": "no bf16"}),
        (Missed("too slow", {"busy": 0.5}), {"status": "failed", "reason": "too slow", "figures": {"busy": 0.5}}),
        (ValueError("a\nb"), {"status": "failed", "reason": "ValueError: a"}),
        (None, {"status": "passed", "figures": {"loss": 0.25}}),
    ],
)
def test_the_end_of_a_check_is_its_result(
    error: Exception | None, expected: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def function(context: Context) -> dict[str, float]:
        if error is not None:
            raise error
        return {"loss": 0.25}

    monkeypatch.setattr(equality, "packed", function)
    gpu.run_here(check("a"), 0, tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text()) == expected
    assert gpu.outcome_of(check("a"), tmp_path / "result.json", 0, "", 60).status == expected["status"]


def test_the_report_has_counts_reasons_and_figures(tmp_path: Path) -> None:
    results = [gpu.Result("a", gpu.PASSED, figures={"loss": 0.5}), gpu.Result("b", gpu.SKIPPED, "no GPU is visible")]
    gpu.write_report(tmp_path / "deep" / "gpu.json", CPU, results)
    document = json.loads((tmp_path / "deep" / "gpu.json").read_text())
    assert document["counts"] == {"passed": 1, "failed": 0, "skipped": 1}
    assert document["machine"]["without_gpu"] == "no GPU is visible"
    assert [(row["name"], row["figures"], row["reason"]) for row in document["checks"]] == [
        ("a", {"loss": 0.5}, ""),
        ("b", {}, "no GPU is visible"),
    ]


def test_a_build_of_torch_without_cuda_is_named() -> None:
    cpu_build = {"torch": "2.13.0+cpu", "cuda": None, "hip": None}
    assert "install a CUDA build of torch" in gpu.without_gpu(cpu_build, ["NVIDIA L4"])
    assert "driver's version" in gpu.without_gpu({**cpu_build, "cuda": "12.8"}, ["NVIDIA L4"])
    assert gpu.without_gpu(cpu_build, []) == "no GPU is visible"


@pytest.mark.parametrize("name", ["micro_batches", "resumed", "packed"])
def test_trainings_that_must_be_equal_are_on_a_cpu(name: str, context: Context) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    figures = getattr(equality, name)(context)
    torch.set_num_threads(threads)
    assert figures["loss"] < 1e-2


@pytest.mark.slow
def test_a_training_that_differs_is_found(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    real = equality.together

    def wrong(trainings: list[Any]) -> Any:
        return real([*trainings[1:], trainings[0]])

    monkeypatch.setattr(equality, "together", wrong)
    with pytest.raises(Missed, match="losses of networks packed and alone must differ by less than"):
        equality.packed(context)


def test_covered_time_counts_overlaps_once() -> None:
    assert speed.covered([]) == 0
    assert speed.covered([(4.0, 5.0), (0.0, 3.0), (1.0, 2.0), (2.5, 3.5)]) == 4.5


def test_one_epoch_alone_is_watched() -> None:
    loader = loaders(patterned(200, 8, 1), Recipe(batch_size=32), "cpu").train_loader
    inside: list[int] = []

    @contextmanager
    def around() -> Iterator[None]:
        inside.append(watched.now)
        yield

    watched = speed.Watched(speed.Watched(loader, 1, around), 2, around)
    for epoch in range(4):
        watched.set_epoch(epoch)
        assert len(list(watched)) == len(watched) > 1
    assert inside == [1, 2]


def test_synchronisations_are_counted_by_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    modes: list[str] = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    places: Counter[str] = Counter()
    with noting(places)():
        for _ in range(2):
            warnings.warn("called a synchronizing CUDA operation", stacklevel=1)
        warnings.warn("another matter", stacklevel=1)
    assert modes == ["warn", "default"]
    assert list(places.values()) == [2]
    assert str(Path(__file__)) in next(iter(places))


def figures_of(function: Callable[[Context], Any], context: Context) -> dict[str, Any]:
    """Return the figures of a check of speed, whether its goal is reached or not."""
    try:
        return dict(function(context))
    except Missed as missed:
        return dict(missed.figures)


def test_checks_of_speed_run(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "patterned", lambda images, size=32, channels=3: patterned(100, size, channels))
    monkeypatch.setattr(speed, "LOOPS", (("small", 2, 1, 16, 1),))
    monkeypatch.setattr(speed, "PACKS", (1, 2))
    beside = figures_of(speed.hand_loop, context)
    assert 0.2 < beside["small, ours over a plain loop"] < 20
    gains = figures_of(speed.small_networks, context)
    assert gains["plain, packs of 1"] == 1
    assert 1000 < gains["params"] < 3000


def test_googlenet_is_compared_where_torchvision_is(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(Skipped, match="torchvision is not installed"):
        speed.googlenet(context)
    small = speed.inception(speed.COLOUR, 1, 1)

    class Theirs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network_of(small)

        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            logits = self.network(images)
            return logits, logits, logits

    models = types.SimpleNamespace(googlenet=lambda **_: Theirs())
    monkeypatch.setitem(sys.modules, "torchvision", types.SimpleNamespace(models=models))
    monkeypatch.setattr(speed, "REFERENCES", {"googlenet": lambda: small})
    monkeypatch.setattr(speed, "BATCH", 2)
    monkeypatch.setattr(speed, "LABELS", 10)
    assert figures_of(speed.googlenet, context)["images_a_second_ours"] > 0


@pytest.mark.slow
def test_the_program_runs_to_its_end_without_a_gpu(tmp_path: Path) -> None:
    report = tmp_path / "gpu.json"
    command = [sys.executable, gpu.__file__, "--output", str(report), "--only", "micro_batches,graphed,ddp_gloo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    document = json.loads(report.read_text())
    assert done.returncode == 0, document
    assert len(document["checks"]) == 3
    assert document["counts"]["failed"] == 0
    assert document["counts"]["passed"] >= 2


def test_unknown_names_of_checks_are_refused() -> None:
    with pytest.raises(SystemExit, match=r"--only must name checks of equal_to_cpu, .*, got fast"):
        gpu.named("fast")
