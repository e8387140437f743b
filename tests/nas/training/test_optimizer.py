from __future__ import annotations

import pytest
import torch
from torch import nn

from nas.config.training import Recipe
from nas.training.optimizer import decay_groups, make_optimizer


def test_kernels_decay_and_norms_and_biases_do_not() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    decayed, spared = decay_groups(network, Recipe(weight_decay=0.1))
    assert decayed["weight_decay"] == 0.1
    assert [id(p) for p in decayed["params"]] == [id(network[0].weight), id(network[3].weight)]
    assert spared["weight_decay"] == 0.0
    assert [id(p) for p in spared["params"]] == [
        id(p) for p in (network[0].bias, network[1].weight, network[1].bias, network[3].bias)
    ]


def test_a_frozen_parameter_is_left_out() -> None:
    network = nn.Linear(4, 2)
    network.weight.requires_grad_(False)
    decayed, spared = decay_groups(network, Recipe(weight_decay=0.1))
    assert decayed["params"] == []
    assert [id(p) for p in spared["params"]] == [id(network.bias)]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_without_a_gradient_decay_alone_moves_only_kernels(optimizer: str) -> None:
    network = nn.Linear(3, 2)
    with torch.no_grad():
        network.weight.fill_(1.0)
        network.bias.fill_(1.0)
    made = make_optimizer(network, Recipe(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5))
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    made.step()
    # SGD: Nesterov's first step is gradient + momentum x gradient, 1.9 x 0.5; AdamW takes the decay by itself.
    expected = 1 - 0.1 * 0.5 * (1.9 if optimizer == "sgd" else 1.0)
    torch.testing.assert_close(network.weight, torch.full((2, 3), expected))
    assert torch.equal(network.bias, torch.ones(2))


def test_nesterov_looks_ahead() -> None:
    weight = nn.Parameter(torch.zeros(1, 1))
    network = nn.ParameterList([weight])
    made = make_optimizer(network, Recipe(learning_rate=1.0, momentum=0.5, weight_decay=0.0))
    for _ in range(2):
        weight.grad = torch.ones(1, 1)
        made.step()
    # velocities 1 and 1.5; steps 1 + 0.5 x 1 and 1 + 0.5 x 1.5
    assert weight.item() == pytest.approx(-(1.5 + 1.75))


def test_adamws_first_decay_rate_is_the_momentum() -> None:
    made = make_optimizer(nn.Linear(2, 2), Recipe(optimizer="adamw", momentum=0.8))
    assert {group["betas"] for group in made.param_groups} == {(0.8, 0.999)}


@pytest.mark.parametrize(
    ("precision", "gradient_clip", "fused"),
    [("32-true", 1.0, True), ("bf16-mixed", 1.0, True), ("16-mixed", None, True), ("16-mixed", 1.0, False)],
)
def test_steps_are_fused_but_where_scaled_gradients_are_clipped(
    precision: str, gradient_clip: float | None, fused: bool
) -> None:
    made = make_optimizer(nn.Linear(2, 2), Recipe(precision=precision, gradient_clip=gradient_clip))
    assert {group["fused"] for group in made.param_groups} == {fused}


def test_a_device_without_fused_steps_gets_plain_ones() -> None:
    made = make_optimizer(nn.Linear(2, 2, device="meta"), Recipe())
    assert {group["fused"] for group in made.param_groups} == {False}


def test_decoupled_decay_is_that_of_the_learning_rate_alone() -> None:
    network = nn.Linear(1, 1)
    with torch.no_grad():
        network.weight.fill_(2.0)
        network.bias.fill_(2.0)
    made = make_optimizer(network, Recipe(learning_rate=0.1, momentum=0.5, weight_decay=0.5, decoupled_decay=True))
    expected, velocity = 2.0, 0.0
    for gradient in (1.0, -3.0, 0.5):
        network.weight.grad, network.bias.grad = torch.full((1, 1), gradient), torch.zeros(1)
        made.step()
        velocity = 0.5 * velocity + gradient
        expected = expected * (1 - 0.1 * 0.5) - 0.1 * (gradient + 0.5 * velocity)
    assert network.weight.item() == pytest.approx(expected)
    assert network.bias.item() == 2.0


def test_decoupled_decay_follows_the_schedule() -> None:
    network = nn.Linear(2, 2)
    made = make_optimizer(network, Recipe(weight_decay=0.5, decoupled_decay=True))
    for group in made.param_groups:
        group["lr"] = torch.tensor(0.25)
    network.weight.grad, before = torch.zeros(2, 2), network.weight.detach().clone()
    made.step()
    torch.testing.assert_close(network.weight.detach(), before * (1 - 0.25 * 0.5))


def test_an_overflow_of_scaled_gradients_decays_nothing() -> None:
    network = nn.Linear(2, 2)
    made = make_optimizer(network, Recipe(weight_decay=0.5, decoupled_decay=True))
    network.weight.grad, before = torch.full((2, 2), torch.inf), network.weight.detach().clone()
    made.grad_scale, made.found_inf = torch.tensor(1.0), torch.tensor(1.0)
    made.step()
    assert torch.equal(network.weight, before)


def test_decoupled_sgd_without_decay_is_sgd() -> None:
    torch.manual_seed(0)
    networks = [nn.Linear(4, 3) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    for network, decoupled in zip(networks, (False, True), strict=True):
        made = make_optimizer(network, Recipe(weight_decay=0.0, decoupled_decay=decoupled))
        for step in range(3):
            made.zero_grad()
            (network(torch.full((2, 4), step + 1.0)) ** 2).sum().backward()
            made.step()
    assert torch.equal(networks[0].weight, networks[1].weight)


def test_shifts_of_norms_have_their_own_learning_rate() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.GroupNorm(1, 4), nn.Flatten(), nn.Linear(4, 2))
    made = make_optimizer(network, Recipe(learning_rate=0.1, norm_learning_rate=64.0, weight_decay=0.1))
    kernels, vectors, shifts = made.param_groups
    assert [id(p) for p in shifts["params"]] == [id(network[1].bias)]
    assert (kernels["lr"], vectors["lr"], shifts["lr"]) == (0.1, 0.1, pytest.approx(6.4))
    assert (kernels["weight_decay"], vectors["weight_decay"], shifts["weight_decay"]) == (0.1, 0.0, 0.0)
    assert sum(len(group["params"]) for group in made.param_groups) == len(list(network.parameters()))


def test_order_of_parameters_is_unchanged_by_the_usual_recipe() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    order = [[id(p) for p in group["params"]] for group in decay_groups(network, Recipe())]
    assert order == [[id(network[0].weight)], [id(p) for p in (network[0].bias, *network[1].parameters())]]
