"""Configurations of the groups refuse invalid values."""

from __future__ import annotations

import math

import pytest

from nas.config.budget import Budget
from nas.config.fidelity import FidelitySpec
from nas.config.objective import Objective
from nas.config.sampler import SamplerSpec
from nas.config.storage import StorageSpec
from nas.config.workers import WorkersSpec
from nas.objectives.limits import Limits


@pytest.mark.parametrize("name", ["trials", "minutes", "trainings", "max_idle_asks"])
@pytest.mark.parametrize("value", [0, -3, float("nan")])
def test_a_budget_is_positive(name, value):
    law = "a whole number" if math.isnan(value) and name in {"trials", "max_idle_asks"} else "positive"
    with pytest.raises(ValueError, match=f"budget.{name} must be {law}, got {value}"):
        Budget(**{name: value})


def test_a_budget_ends():
    with pytest.raises(ValueError, match="at least one of trials, minutes and trainings"):
        Budget(trials=None)
    assert Budget(trials=None, minutes=0.5).minutes == 0.5


@pytest.mark.parametrize("name", ["max_params", "max_macs", "max_memory_mib"])
def test_a_limit_is_positive(name):
    with pytest.raises(ValueError, match=f"limits.{name} must be positive, got -1"):
        Limits(**{name: -1})


def test_only_limits_that_are_set_are_exceeded_or_met():
    costs = {"params": 10, "macs": 20, "memory_mib": 0.5}
    assert Limits().exceeded(costs) == {}
    assert Limits(max_params=10).exceeded(costs) == {"max_params": 0}
    assert Limits(max_macs=15, max_memory_mib=2.0).exceeded(costs) == {"max_macs": 5, "max_memory_mib": -1.5}


@pytest.mark.parametrize(
    ("make", "law"),
    [
        (lambda: StorageSpec("cloud"), "storage.kind must be one of sqlite, postgres, got 'cloud'"),
        (lambda: FidelitySpec("a half"), "fidelity.name must be the name of a module, or a dotted path, got 'a half'"),
        (
            lambda: WorkersSpec("moon"),
            "workers.name must be one of local, ray, or a dotted path such as my_module.make, got 'moon'",
        ),
        (lambda: WorkersSpec(slots=0), "workers.slots must be auto or at least 1, got 0"),
        (lambda: WorkersSpec(threads_per_slot=0), "workers.threads_per_slot must be at least 1, got 0"),
        (lambda: WorkersSpec(retries=-1), "workers.retries must be at least 0, got -1"),
        (lambda: WorkersSpec(deadline_minutes=0), "workers.deadline_minutes must be positive, got 0"),
        (lambda: SamplerSpec("x", "os.system"), "must be the name of a class, got 'os.system'"),
        (lambda: SamplerSpec("x", "X", {"seed": 3}), "must not set seed"),
        (lambda: SamplerSpec("x", "X", {}, "lost"), "must be one of pruned, worst, got 'lost'"),
        (lambda: Objective("", "cost", "macs", "minimize"), "must have a name"),
        (
            lambda: Objective("a", "air", "macs", "minimize"),
            r"objective\.a\.source must be curve, cost or a dotted path",
        ),
        (lambda: Objective("a", "curve", "macs", "maximize"), "val_balanced_accuracy for source curve, got 'macs'"),
        (lambda: Objective("a", "cost", "macs", "down"), "must be one of maximize, minimize, got 'down'"),
    ],
)
def test_what_cannot_be_is_refused(make, law):
    with pytest.raises(ValueError, match=law):
        make()
