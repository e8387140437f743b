"""What is known before training: identities, exact costs, limits."""

from __future__ import annotations

import itertools
import random

import pytest
from engine import ONE, SMALL, TINY, space_of

from nas.objectives.costs import Cost, Costs, Measurable, built_in_costs, load_cost, title_of
from nas.objectives.limits import Limits, check_reachable, reach
from nas.objectives.requirements import Requirements
from nas.objectives.step_memory import SLOT_MEMORY, StepMemory, check_fits
from search_space.architecture import Architecture
from search_space.choices import RandomChooser, ReplayChooser
from search_space.cost import MIB, cost, training_bytes
from search_space.identity import network_id
from search_space.lowering import lower, summary
from search_space.memo import Memo


def test_an_examined_architecture_carries_what_its_graph_tells() -> None:
    architecture = space_of(SMALL).draw(random.Random(1))
    exact = cost(lower(architecture))
    examined = Requirements(Limits(max_params=exact.params, max_macs=exact.macs - 1, max_memory_mib=99.0)).examine(
        architecture
    )
    assert examined.costs == {"params": exact.params, "macs": exact.macs, "memory_mib": exact.memory_mib}
    assert examined.costs == built_in_costs().of_architecture(architecture)
    assert examined.network_id == network_id(lower(architecture))
    assert examined.summary == summary(architecture)
    assert examined.constraints == {"max_params": 0, "max_macs": 1, "max_memory_mib": exact.memory_mib - 99.0}
    assert not examined.feasible


def test_a_limit_is_met_by_what_costs_just_as_much() -> None:
    architecture = space_of(ONE).draw(random.Random(0))
    costs = built_in_costs().of_architecture(architecture)
    limits = Limits(max_params=int(costs["params"]), max_macs=int(costs["macs"]), max_memory_mib=costs["memory_mib"])
    assert Requirements(limits).examine(architecture).feasible
    assert Requirements().examine(architecture).feasible
    check_reachable(space_of(ONE), limits)


@pytest.mark.parametrize("name", ["params", "macs", "memory_mib"])
def test_a_limit_below_the_cheapest_network_is_refused_with_what_it_costs(name: str) -> None:
    space = space_of(TINY)
    widths = itertools.product((4, 8), (0, 4), (4, 8))
    paths = ("stem.width", "stage0.block0.k1.width", "stage0.block0.k3.width")
    networks = [space.sample(ReplayChooser(dict(zip(paths, w, strict=True)), NoOne())) for w in widths]
    least = min(built_in_costs().of_architecture(network)[name] for network in networks)
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
    small = Requirements(Limits(max_params=10**9), StepMemory(needed - MIB, 64, 2, True)).examine(architecture)
    assert small.constraints[SLOT_MEMORY] == pytest.approx(1.0)
    assert not small.feasible
    enough = Requirements(Limits(max_params=10**9), StepMemory(needed, 64, 2, True)).examine(architecture)
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
    drawn = [space.sample(RandomChooser(random.Random(seed))) for seed in range(60)]
    exact = [built_in_costs().of_architecture(architecture)["macs"] for architecture in drawn]
    limit = sorted(exact)[30]
    found = reach(space, Limits(max_macs=int(limit)), samples=400)
    assert found is not None
    assert found.share == pytest.approx(sum(macs <= limit for macs in exact) / 60, abs=0.2)
    assert found.least == {"macs": min(exact)}
    assert f"the least that a network costs: {min(exact):,} macs" in str(found)
    assert reach(space, Limits()) is None


def test_the_registry_lists_our_costs_in_their_order() -> None:
    assert built_in_costs().names == ("params", "macs", "memory_mib")
    assert [cost.limit for cost in built_in_costs().members] == ["max_params", "max_macs", "max_memory_mib"]
    assert title_of("memory_mib") == "activation memory (MiB)"


def test_a_cost_of_ones_own_joins_the_registry_and_can_be_limited() -> None:
    depth = Cost("depth", "depth", lambda network: sum(1 for _ in network.architecture.stages), place=9)
    costs = built_in_costs().joined([depth])
    architecture = space_of(SMALL).draw(random.Random(1))
    assert costs.names == ("params", "macs", "memory_mib", "depth")
    assert costs.of(Measurable(architecture))["depth"] == 1
    requirements = Requirements(Limits(max_depth=0.5).checked(costs.names), costs=costs)
    assert requirements.examine(architecture).constraints == {"max_depth": 0.5}
    with pytest.raises(ValueError, match="limits must be of max_params, max_macs, max_memory_mib, got 'max_depth'"):
        Limits(max_depth=3).checked(built_in_costs().names)


def test_a_limit_that_is_misspelt_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"got 'max_parms'; did you mean max_params\?"):
        Limits(max_parms=3).checked(built_in_costs().names)


def test_two_costs_of_one_name_are_refused() -> None:
    one, other = (Cost("depth", "depth", lambda network, n=n: n) for n in (1, 2))
    with pytest.raises(ValueError, match="two costs may not have one name, got 'depth' twice"):
        Costs((one, other))
    with pytest.raises(ValueError, match="the name of a cost must be of lower-case letters"):
        Cost("Depth", "depth", lambda network: 1)


def test_a_cost_is_one_of_ours_or_an_object_at_a_dotted_path() -> None:
    assert load_cost("macs").title == "MACs"
    with pytest.raises(
        ValueError, match=r"objective.key must be one of latency_ms, macs, memory_mib, params, or a dotted path"
    ):
        load_cost("flops")
    with pytest.raises(ValueError, match=r"must name a nas.objectives.costs.Cost, 'math.pi' is a float"):
        load_cost("math.pi")


def test_an_architecture_is_measured_once_for_the_sampler_and_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Architecture] = []
    examine = Memo.examine
    monkeypatch.setattr(Memo, "examine", lambda self, one: measured.append(one) or examine(self, one))
    space = space_of(SMALL)
    requirements, architecture = Requirements(Limits(max_macs=10**9)), space.draw(random.Random(3))
    name, costs = requirements.measure(architecture)
    examined = requirements.examine(architecture)
    assert (examined.network_id, examined.costs, measured) == (name, costs, [architecture])
    graph = lower(architecture)
    assert (name, costs) == (network_id(graph), built_in_costs().of_graph(graph))
