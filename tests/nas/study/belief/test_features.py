"""Features of networks: the encoding, its averages over the blocks, and costs on the scale of the space."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from engine import SMALL, TINY, space_of

from nas.objectives.requirements import exact_measure
from nas.study.belief.features import FeatureMap
from search_space.choices import FirstChooser, ReplayChooser, SpaceError
from search_space.encoding import columns, encode

SPACE = space_of(SMALL)
MEASURE = exact_measure()


def features() -> FeatureMap:
    return FeatureMap(SPACE, lambda architecture: MEASURE(architecture)[1])


def test_a_row_begins_with_the_encoding_and_has_its_averages_over_the_blocks() -> None:
    generator, count = random.Random(0), len(columns(SPACE))
    drawn = [SPACE.draw(generator) for _ in range(30)]
    rows = features().rows(drawn, [MEASURE(architecture)[1] for architecture in drawn])
    assert rows[:, :count] == pytest.approx(np.array([encode(SPACE, architecture) for architecture in drawn]))
    names = columns(SPACE)
    same = [column for column, name in enumerate(names) if name.endswith("k3.width")]
    assert len(same) == 2
    averages = rows[:, same].mean(axis=1)
    assert any(np.allclose(rows[:, column], averages) for column in range(count, rows.shape[1]))


def test_costs_are_logarithms_between_the_ends_of_the_space() -> None:
    tiny = space_of(TINY)
    every = list(tiny.architectures())
    costs = [MEASURE(architecture)[1] for architecture in every]
    found = FeatureMap(tiny, lambda architecture: MEASURE(architecture)[1])
    logs = found.rows(every, costs)[:, list(found.layout.trend)]
    raw = np.log10(np.array([list(each.values()) for each in costs]))
    for column in range(3):
        assert np.corrcoef(logs[:, column], raw[:, column])[0, 1] == pytest.approx(1)
    assert logs.min() == pytest.approx(-np.sqrt(3), abs=1e-6)
    assert logs.max() == pytest.approx(np.sqrt(3), abs=1e-6)


def test_costs_have_the_networks_of_all_first_and_all_last_options_as_ends() -> None:
    stages = [{"depth": 1, "block": {"branches": {"k3": {"width": [4, 8]}}}}]
    wide = space_of({"name": "wide", "stem": {"width": {"low": 4, "high": 400, "step": 4}}, "stages": stages})
    last = {parameter.path: parameter.choice.options[-1] for parameter in wide.parameters}
    ends = [wide.sample(FirstChooser()), wide.sample(ReplayChooser(last, FirstChooser()))]
    found = FeatureMap(wide, lambda architecture: MEASURE(architecture)[1])
    costs = found.rows(ends, [MEASURE(each)[1] for each in ends])[:, list(found.layout.trend)]
    assert costs == pytest.approx(np.sqrt(3) * np.array([[-1.0] * 3, [1.0] * 3]))


def test_a_cost_that_all_networks_share_tells_nothing() -> None:
    found = FeatureMap(SPACE, lambda _: {"macs": 7.0})
    row = found.rows([SPACE.draw(random.Random(0))], [{"macs": 7.0}])[0]
    assert row[list(found.layout.trend)].tolist() == [0.0]


def test_columns_of_one_choice_share_a_length_scale() -> None:
    layout = features().layout
    assert sorted(column for group in layout.groups for column in group) == list(range(layout.trend[-1] + 1))
    assert tuple(layout.trend) in layout.groups
    assert tuple(column for column, name in enumerate(columns(SPACE)) if ".width" in name) in layout.groups
    words = {parameter.path.rpartition(".")[2] for parameter in SPACE.parameters}
    assert len(layout.groups) == 2 * len(words) + 1  # choices, their averages, and costs


def test_an_architecture_of_another_space_is_refused() -> None:
    other = replace(SPACE.draw(random.Random(0)), classes=3)
    with pytest.raises(SpaceError):
        features().rows([other], [MEASURE(other)[1]])
