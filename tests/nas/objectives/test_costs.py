"""What is known before training: identities, exact costs, limits."""

from __future__ import annotations

import itertools
import random

import pytest
from engine import ONE, SMALL, TINY, space_of

from nas.config.specs import Limits
from nas.objectives.costs import SLOT_MEMORY, StepMemory, check_fits, check_reachable, costs_of, examine, reach
from search_space.choices import RandomChooser, ReplayChooser
from search_space.cost import MIB, cost, training_bytes
from search_space.identity import network_id
from search_space.lowering import lower, summary


def test_an_examined_architecture_carries_what_its_graph_tells() -> None:
    architecture = space_of(SMALL).draw(random.Random(1))
    exact = cost(lower(architecture))
    examined = examine(architecture, Limits(max_params=exact.params, max_macs=exact.macs - 1, max_memory_mib=99.0))
    assert examined.costs == {"params": exact.params, "macs": exact.macs, "memory_mib": exact.memory_mib}
    assert examined.costs == costs_of(architecture)
    assert examined.network_id == network_id(lower(architecture))
    assert examined.summary == summary(architecture)
    assert examined.constraints == {"max_params": 0, "max_macs": 1, "max_memory_mib": exact.memory_mib - 99.0}
    assert not examined.feasible


def test_a_limit_is_met_by_what_costs_just_as_much() -> None:
    architecture = space_of(ONE).draw(random.Random(0))
    costs = costs_of(architecture)
    limits = Limits(max_params=int(costs["params"]), max_macs=int(costs["macs"]), max_memory_mib=costs["memory_mib"])
    assert examine(architecture, limits).feasible
    assert examine(architecture, Limits()).feasible
    check_reachable(space_of(ONE), limits)


@pytest.mark.parametrize("name", ["params", "macs", "memory_mib"])
def test_a_limit_below_the_cheapest_network_is_refused_with_what_it_costs(name: str) -> None:
    space = space_of(TINY)
    widths = itertools.product((4, 8), (0, 4), (4, 8))
    paths = ("stem.width", "stage0.block0.k1.width", "stage0.block0.k3.width")
    networks = [space.sample(ReplayChooser(dict(zip(paths, w, strict=True)), NoOne())) for w in widths]
    least = min(costs_of(network)[name] for network in networks)
    below = least - 1 if name != "memory_mib" else least / 2
    check_reachable(space, Limits(**{f"max_{name}": least}))
    with pytest.raises(ValueError, match=rf"limits.max_{name} must leave an architecture, the cheapest of tiny") as no:
        check_reachable(space, Limits(**{f"max_{name}": below}))
    assert f"costs {least:,.6g} {name}" in str(no.value)


class NoOne:
    """Makes no choice: every path was given."""

    def integer(self, path: str, options: tuple[int, ...]) -> int:
        raise AssertionError(path)

    option = integer


def test_a_network_too_large_for_a_slot_breaks_a_constraint_of_its_own() -> None:
    architecture = space_of(SMALL).draw(random.Random(1))
    needed = training_bytes(lower(architecture), 64, optimizer_slots=2, ema=True)
    small = examine(architecture, Limits(max_params=10**9), StepMemory(needed - MIB, 64, 2, True))
    assert small.constraints[SLOT_MEMORY] == pytest.approx(1.0)
    assert not small.feasible
    enough = examine(architecture, Limits(max_params=10**9), StepMemory(needed, 64, 2, True))
    assert list(enough.constraints) == ["max_params"]
    assert enough.feasible


def test_a_slot_without_memory_for_any_network_is_refused() -> None:
    least = min(
        training_bytes(lower(space_of(TINY).draw(random.Random(seed))), 32, optimizer_slots=1) for seed in range(99)
    )
    check_fits(space_of(TINY), StepMemory(least, 32, 1, False))
    with pytest.raises(ValueError, match="a slot must have memory for a training step, the smallest of tiny at batch"):
        check_fits(space_of(TINY), StepMemory(least - 1, 32, 1, False))


def test_what_limits_leave_is_told_with_the_least_cost() -> None:
    space = space_of(TINY)
    exact = [costs_of(space.sample(RandomChooser(random.Random(seed))))["macs"] for seed in range(60)]
    limit = sorted(exact)[30]
    found = reach(space, Limits(max_macs=int(limit)), samples=400)
    assert found is not None
    assert found.share == pytest.approx(sum(macs <= limit for macs in exact) / 60, abs=0.2)
    assert found.least == {"macs": min(exact)}
    assert f"the least that a network costs: {min(exact):,} macs" in str(found)
    assert reach(space, Limits()) is None
