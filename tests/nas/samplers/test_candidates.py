"""The stream of candidates: always the same prefix, within limits, and changes of given networks."""

from __future__ import annotations

import random

import numpy as np
from engine import SMALL, TINY, space_of

from nas.objectives.requirements import exact_measure
from nas.samplers.known_cost.candidates import CandidateSource, NetworkRegistry

SPACE = space_of(SMALL)


def source(most_macs: float = 1e9) -> tuple[NetworkRegistry, CandidateSource]:
    networks = NetworkRegistry(SPACE, exact_measure())
    return networks, CandidateSource(networks, lambda costs: costs["macs"] <= most_macs)


def test_a_stream_does_not_hang_on_how_it_was_asked_for_before() -> None:
    _, one = source()
    _, other = source()
    other.random_candidates(300)
    assert [n.network_id for n in one.random_candidates(120)] == [n.network_id for n in other.random_candidates(120)]
    assert len({n.network_id for n in one.random_candidates(300)}) == len(one.random_candidates(300))


def test_where_limits_leave_few_walks_find_more() -> None:
    least = min(n.costs["macs"] for n in source()[1].random_candidates(400))
    _, tight = source(least * 3)
    found = tight.random_candidates(100)
    assert len(found) >= 5
    assert all(n.costs["macs"] <= least * 3 for n in found)


def test_changes_and_crossings_are_of_the_space_and_differ_little() -> None:
    networks, drawn = source()
    generator = random.Random(1)
    mother, father = (networks.network(SPACE.draw(generator)) for _ in range(2))
    changed = [drawn.mutate(mother, generator) for _ in range(20)]
    assert all(n is None or SPACE.contains(n.architecture) for n in changed)
    assert any(n is not None and n is not mother for n in changed)
    crossed = drawn.cross(mother, father, generator)
    assert crossed is not None
    assert SPACE.contains(crossed.architecture)
    assert crossed.architecture.stem in (mother.architecture.stem, father.architecture.stem)


def test_what_is_remembered_of_changes_alters_none() -> None:
    _, warm = source()
    networks, _ = source()
    mother = networks.network(SPACE.draw(random.Random(2)))
    for seed in [*range(100), *range(100)]:
        one, other = random.Random(seed), random.Random(seed)
        remembered, anew = warm.mutate(mother, one), source()[1].mutate(mother, other)
        assert (remembered and remembered.architecture) == (anew and anew.architecture)
        assert one.getstate() == other.getstate()


def test_a_networks_parameters_lead_back_to_it_and_foreign_ones_to_none() -> None:
    networks = NetworkRegistry(space_of(TINY), exact_measure())
    assert networks.from_params({"stem.width": 8, "stage0.block0.k3.width": 4}) is None
    assert networks.from_params({"unknown": 1}) is None
    params = {"stem.width": 8, "stage0.block0.k1.width": 4, "stage0.block0.k3.width": 8}
    found = networks.from_params(params)
    assert found is not None
    assert found.architecture.stem.width == 8
    assert np.isfinite(found.row).all()
