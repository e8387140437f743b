from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas.config.training import SCHEDULES, Recipe
from nas.training.schedule import learning_rate_factor


@pytest.mark.parametrize(("total", "warmup"), [(10, 0.3), (97, 0.25), (200, 0.1), (33, 0.6)])
def test_one_cycle_is_torchs_one_cycle(total: int, warmup: float) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(()))], lr=1.0)
    oracle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=total, pct_start=warmup, cycle_momentum=False
    )
    recipe = Recipe(schedule="one_cycle", warmup=warmup)
    for step in range(total):
        assert learning_rate_factor(step, total, recipe) == pytest.approx(oracle.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        if step < total - 1:
            oracle.step()


def test_cosine_rises_straight_and_falls_as_a_cosine() -> None:
    recipe = Recipe(schedule="cosine", warmup=0.2)
    values = [learning_rate_factor(step, 20, recipe) for step in range(20)]
    assert values[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    for step in range(4, 20):
        assert values[step] == pytest.approx((1 + math.cos(math.pi * (step - 3) / 17)) / 2)


def test_cosine_without_warm_up_begins_at_the_peak() -> None:
    recipe = Recipe(schedule="cosine", warmup=0.0)
    assert [learning_rate_factor(step, 4, recipe) for step in range(4)] == pytest.approx(
        [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    )


@given(
    total=st.integers(1, 3000),
    warmup=st.floats(0, 0.99),
    schedule=st.sampled_from(SCHEDULES),
    shares=st.lists(st.floats(0, 1.5), min_size=1, max_size=5),
)
def test_every_factor_is_a_positive_share_of_the_peak(
    total: int, warmup: float, schedule: str, shares: list[float]
) -> None:
    recipe = Recipe(schedule=schedule, warmup=warmup)
    for share in shares:
        assert 0 < learning_rate_factor(int(share * total), total, recipe) <= 1


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_rate_moves_without_jumps_up_and_then_down(schedule: str) -> None:
    recipe = Recipe(schedule=schedule, warmup=0.25)
    values = [learning_rate_factor(step, 1000, recipe) for step in range(1000)]
    peak = values.index(max(values))
    assert peak == 249
    assert values[: peak + 1] == sorted(values[: peak + 1])
    assert values[peak:] == sorted(values[peak:], reverse=True)
    assert max(abs(b - a) for a, b in itertools.pairwise(values)) < 0.01
    assert values[-1] < 1e-5


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_past_the_horizon_the_last_rate_stays(schedule: str) -> None:
    recipe = Recipe(schedule=schedule)
    assert learning_rate_factor(50, 50, recipe) == learning_rate_factor(49, 50, recipe)
