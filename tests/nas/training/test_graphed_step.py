"""Steps as CUDA graphs, and compiled networks: what a training hands them, and, with a GPU, what they compute."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas.config.training import Recipe
from nas.jobs import Job, Outcome
from nas.jobs.failures import is_out_of_memory
from nas.training import module
from nas.training.graphed_step import WARM_UPS, GraphedStep, obstacle
from nas.training.optimizer import make_optimizer
from nas.training.trial import Member, train, train_pack
from search_space.graph import Conv, Dropout, GlobalPool, Graph, Linear, Norm, Seq, Shape, Tap
from search_space.network import build

RECIPES = {
    "sgd": Recipe(epochs=3, batch_size=8),
    "decoupled": Recipe(epochs=3, batch_size=8, decoupled_decay=True, norm_learning_rate=2.0, ema_decay=0.9),
    "adamw": Recipe(epochs=3, batch_size=8, optimizer="adamw", learning_rate=0.01, gradient_clip=1.0),
}
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA graph needs a CUDA device")
TAPPED = Graph(
    Seq(
        (
            Conv(4, (3, 3), padding=(1, 1), norm=Norm("batch"), activation="relu"),
            Tap(Seq((GlobalPool(), Linear(3))), 0.3),
            GlobalPool(),
            Dropout(0.2),
            Linear(3),
        )
    ),
    Shape(1, 6, 6),
)

MakeJob = Callable[..., Job]
RunJob = Callable[..., Outcome]


class Replayed:
    """Stand-in for a graph: takes each step on the tensors of the first, as a replay does."""

    made: list[Replayed]

    def __init__(self, step: Callable[[Tensor, Tensor], None], generators: Callable[[], object]) -> None:
        self.step, self.given, self.generators = step, None, generators
        self.read: set[int] = set()
        self.made.append(self)

    def __call__(self, images: Tensor, labels: Tensor) -> None:
        self.given = self.given or (torch.empty_like(images), torch.empty_like(labels))
        for there, here in zip(self.given, (images, labels), strict=True):
            there.copy_(here)
        self.step(*self.given)
        self.generators()


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> list[Replayed]:
    made: list[Replayed] = []
    monkeypatch.setattr(module, "GraphedStep", type("Made", (Replayed,), {"made": made}))
    monkeypatch.setattr(module, "obstacle", lambda *_: None)
    return made


def losses(outcome: Outcome) -> list[tuple[float, float, float]]:
    assert outcome.failure is None
    return [(row.train_loss, row.val_loss, row.val_accuracy) for row in outcome.curve]


@pytest.mark.parametrize("name", RECIPES)
def test_steps_on_the_same_tensors_are_those_of_a_plain_training(
    name: str, run_job: RunJob, make_job: MakeJob, replayed: list[Replayed]
) -> None:
    recipe = RECIPES[name]
    plain = run_job(make_job(0, 3, folder="plain"), recipe)
    graphed = run_job(make_job(0, 3, folder="graphed"), dataclasses.replace(recipe, cuda_graph=True))
    assert len(replayed) == 1
    assert losses(graphed) == losses(plain)


def test_a_step_adds_to_the_same_sum_of_losses_in_every_epoch(
    run_job: RunJob, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[int] = []
    take = module.Classifier._take

    def noted(self: module.Classifier, *given: Any) -> None:
        places.append(self._train_loss.data_ptr())
        take(self, *given)

    monkeypatch.setattr(module.Classifier, "_take", noted)
    run_job(make_job(0, 3), RECIPES["sgd"])
    assert len(places) > len(set(places)) == 1


def test_without_a_gpu_a_graph_is_refused_in_one_line(
    run_job: RunJob, make_job: MakeJob, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        outcome = run_job(make_job(0, 3), dataclasses.replace(RECIPES["sgd"], cuda_graph=True))
    assert caplog.messages == ["training.cuda_graph has no effect: the training is on cpu"]
    assert losses(outcome) == losses(run_job(make_job(0, 3, folder="plain"), RECIPES["sgd"]))


def test_batches_in_parts_and_over_processes_are_not_captured() -> None:
    device = torch.device("cuda")
    assert obstacle(device, 1, 1) is None
    assert obstacle(device, 2, 1) == "a batch has 2 parts"
    assert obstacle(device, 1, 4) == "4 processes share a batch"


def test_a_resume_may_change_settings_of_speed(run_job: RunJob, make_job: MakeJob, replayed: list[Replayed]) -> None:
    recipe = RECIPES["adamw"]
    first = run_job(make_job(0, 1), dataclasses.replace(recipe, cuda_graph=True))
    assert losses(run_job(make_job(1, 3, first.checkpoint), recipe)) == losses(
        run_job(make_job(0, 3, folder="plain"), recipe)
    )


def test_generators_of_a_pack_stay_the_same(make_job: MakeJob, make_recorder: Any, data: Any) -> None:
    members = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        members.append(Member(build(TAPPED), data, make_job(0, 2, seed=seed, folder=str(seed)), make_recorder()))
    seen: list[list[torch.Generator]] = []
    forward = module.PackedNetwork.forward

    def noted(self: module.PackedNetwork, images: Tensor) -> Any:
        seen.append(self.generators.each)
        return forward(self, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.PackedNetwork, "forward", noted)
        outcomes = train_pack(members, RECIPES["sgd"], "cpu")
    assert [outcome.failure for outcome in outcomes] == [None, None]
    assert {tuple(map(id, each)) for each in seen} == {tuple(map(id, seen[0]))}


def test_compile_wraps_the_training_of_the_network_alone(
    make_job: MakeJob, make_recorder: Any, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    through: list[bool] = []

    def eager(function: Callable[[Tensor], Any], *, mode: str) -> Callable[[Tensor], Any]:
        given.append(mode)

        def call(images: Tensor) -> Any:
            through.append(function.__self__.training)  # type: ignore[attr-defined]
            return function(images)

        return call

    monkeypatch.setattr(torch, "compile", eager)
    recipe = dataclasses.replace(RECIPES["sgd"], compile="max-autotune")
    torch.manual_seed(5)
    outcome = train(build(TAPPED), data, recipe, make_job(0, 2), make_recorder(), "cpu")
    assert given == ["max-autotune"]
    assert through == [True] * 2 * len(data.train_loader)
    torch.manual_seed(5)
    plain = train(build(TAPPED), data, RECIPES["sgd"], make_job(0, 2, folder="plain"), make_recorder(), "cpu")
    assert losses(outcome) == losses(plain)


@pytest.mark.filterwarnings("ignore")  # of torch.compile itself
def test_networks_with_auxiliary_heads_are_traced_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    real = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, mode: real(function, backend="eager", fullgraph=True))
    torch.manual_seed(0)
    network, images = build(TAPPED).eval(), torch.randn(4, 1, 6, 6)
    network.train()
    for child in network.modules():
        if isinstance(child, nn.Dropout):
            child.p = 0.0
    logits, heads = network(images)
    found, theirs = module.compiled(network, "default")(images)
    torch.testing.assert_close(found, logits)
    torch.testing.assert_close(theirs[0][0], heads[0][0])


class Cuda:
    """Stand-in for torch.cuda, in which capturing a step is taking it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.registered: list[object] = []
        self.replays: list[Tensor] = []
        self.capturing = False
        self.given = torch.empty(0)
        streams = types.SimpleNamespace(wait_stream=lambda stream: None)
        monkeypatch.setattr(torch.cuda, "Stream", lambda: streams)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: streams)
        monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: self)
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: "pool")
        monkeypatch.setattr(torch.cuda, "graph", self.graph)

    @contextlib.contextmanager
    def graph(self, graph: Cuda, pool: object, stream: object, *, capture_error_mode: str) -> Iterator[None]:
        assert (pool, capture_error_mode) == ("pool", "thread_local")
        self.capturing = True
        try:
            yield
        except RuntimeError:
            raise RuntimeError("operation failed due to a previous error during capture")  # noqa: B904 - as torch does
        self.capturing = False

    def register_generator_state(self, generator: object) -> None:
        assert not self.capturing
        self.registered.append(generator)

    def replay(self) -> None:
        self.replays.append(self.given.clone())


def test_a_shape_is_warmed_up_captured_once_and_replayed_on_new_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda, plain = Cuda(monkeypatch), list[int]()

    def step(images: Tensor, labels: Tensor) -> None:
        if cuda.capturing:
            cuda.given = images
        else:
            plain.append(int(images.flatten()[0]))

    generator = torch.Generator()
    graphed = GraphedStep(step, lambda: [generator])
    for size in (4, 2):
        for number in range(WARM_UPS + 2):
            graphed(torch.full((size, 1, 2, 2), float(10 * size + number)), torch.zeros(size))
    assert plain == [40, 41, 42, 20, 21, 22]
    assert [int(given.flatten()[0]) for given in cuda.replays] == [43, 44, 23, 24]
    assert cuda.registered == [generator] * 2


def test_a_step_that_cannot_be_captured_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(monkeypatch)

    def step(images: Tensor, labels: Tensor) -> None:
        if cuda.capturing:
            raise torch.OutOfMemoryError("no memory for a graph")

    graphed = GraphedStep(step)
    for _ in range(WARM_UPS):
        graphed(torch.zeros(1, 1, 1, 1), torch.zeros(1))
    with pytest.raises(RuntimeError, match=r"training.cuda_graph=false takes any: no memory for a graph") as raised:
        graphed(torch.zeros(1, 1, 1, 1), torch.zeros(1))
    assert is_out_of_memory(raised.value)


@GPU
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("name", RECIPES)
def test_graphed_trainings_equal_plain_ones_on_a_gpu(
    name: str, precision: str, make_job: MakeJob, make_recorder: Any, data: Any, make_network: Any
) -> None:
    curves = []
    for graphed in (False, True):
        recipe = dataclasses.replace(RECIPES[name], precision=precision, cuda_graph=graphed)
        job = make_job(0, 3, folder=f"{graphed}")
        on_gpu = OnDevice(data)
        curves.append(losses(train(make_network(5), on_gpu, recipe, job, make_recorder(), "cuda")))
    for plain, graphed_row in zip(*curves, strict=True):
        assert graphed_row == pytest.approx(plain, rel=1e-3, abs=1e-3)


@GPU
def test_a_step_is_captured_once_a_shape() -> None:
    weights = torch.zeros(1, device="cuda")
    taken: list[int] = []

    def step(images: Tensor, labels: Tensor) -> None:
        taken.append(len(images))
        weights.add_(images.sum())

    graphed = GraphedStep(step)
    for size in (4, 2):
        for _ in range(WARM_UPS + 3):
            graphed(torch.ones(size, 1, 1, 1, device="cuda"), torch.zeros(size, device="cuda"))
    assert taken == [4] * (WARM_UPS + 1) + [2] * (WARM_UPS + 1)
    assert weights.item() == (4 + 2) * (WARM_UPS + 3)


@GPU
def test_the_learning_rate_of_captured_steps_is_a_tensor() -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).cuda()
    for recipe in RECIPES.values():
        groups = make_optimizer(network, dataclasses.replace(recipe, cuda_graph=True)).param_groups
        assert {group["lr"].device.type for group in groups} == {"cuda"}


class OnDevice:
    """The tiny data with its batches on the GPU."""

    def __init__(self, data: Any) -> None:
        self.data, self.classes, self.class_weights = data, data.classes, None
        self.train_loader = self
        self.val_loader = [(images.cuda(), labels.cuda()) for images, labels in data.val_loader]

    def __len__(self) -> int:
        return len(self.data.train_loader)

    def set_epoch(self, epoch: int) -> None:
        self.data.train_loader.set_epoch(epoch)

    def __iter__(self) -> Any:
        return ((images.cuda(), labels.cuda()) for images, labels in self.data.train_loader)
