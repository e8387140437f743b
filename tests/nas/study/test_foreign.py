"""Trials of other programs are read by one sampling of the space, and give the candidates that a search would make."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from engine import TINY, space_of

from nas.objectives.requirements import exact_measure
from nas.study.checked import DamageError
from nas.study.foreign import ForeignTrials
from nas.study.parameters import Draw
from search_space.lowering import summary

SPACE = space_of(TINY)


@pytest.fixture(scope="module")
def foreign() -> ForeignTrials:
    return ForeignTrials(SPACE, (), {})


@pytest.mark.parametrize("whole", [True, False])
def test_a_candidate_is_that_of_its_architecture(foreign: ForeignTrials, whole: bool) -> None:
    generator = random.Random(5)
    for _ in range(20):
        architecture = SPACE.draw(generator)
        draw, (network_id, costs) = Draw.of(SPACE, architecture), exact_measure()(architecture)
        found = foreign.candidate(draw.params, whole=whole)
        assert ("params" in vars(found)) is whole
        expected = {
            "ask": -1, "params": draw.params, "distributions": draw.distributions, "id": architecture.id,
            "architecture": architecture.to_json(), "network_id": network_id, "summary": summary(architecture),
            "costs": costs, "seed": 0, "constraints": {}, "rejected": (), "skipped": {}, "sampler_attrs": {},
            "inherits": None, "imported": True, "trial": None, "extrapolated": (),
        }  # fmt: skip
        assert {field.name: getattr(found, field.name) for field in dataclasses.fields(found)} == expected


def test_a_value_that_is_not_offered_is_of_no_architecture(foreign: ForeignTrials) -> None:
    params: dict[str, Any] = dict(Draw.of(SPACE, SPACE.draw(random.Random(1))).params)
    for path, value in params.items():
        wrong = "nonsense" if isinstance(value, str) else 10**6
        with pytest.raises(DamageError, match="has no architecture"):
            foreign.candidate({**params, path: wrong}, whole=False)
