"""Believers of stored studies: from a fingerprint and a configuration, whole or damaged."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from engine import AXES, SMALL, TWO, space_of

from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis
from nas.study.belief.stored import cost_axes, is_of_space, stored_believer, stored_limits, stored_space

SPACE = space_of(SMALL)
AXES2 = [AXES[name] for name in TWO]
STORED = {**SMALL, "input": list(SPACE.input), "classes": SPACE.classes}


def test_a_space_is_read_back() -> None:
    assert is_of_space({"space": STORED})
    assert stored_space({"space": STORED}).size == SPACE.size
    assert stored_space({"space": STORED}).input == SPACE.input


@pytest.mark.parametrize("missing", ["input", "classes"])
def test_a_fingerprint_without_images_is_not_of_a_space(missing: str) -> None:
    assert not is_of_space({"space": {key: value for key, value in STORED.items() if key != missing}})
    assert not is_of_space({})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input": "188"}, r"input must be \[channels, height, width\], got 188"),
        ({"input": [1, 8]}, r"input must be \[channels, height, width\]"),
        ({"input": [1, 0, 8]}, r"input must be \[channels, height, width\]"),
        ({"input": [1, 8.0, 8]}, r"input must be \[channels, height, width\]"),
        ({"input": [True, 8, 8]}, r"input must be \[channels, height, width\]"),
        ({"classes": 1}, "classes must be an integer of at least 2, got 1"),
        ({"classes": 10.0}, r"classes must be an integer of at least 2, got 10\.0"),
        ({"stages": 5}, "stages must be a list of at least one stage, got 5"),
    ],
)
def test_a_damaged_space_is_refused_and_its_study_believed_as_measured(changes: dict[str, Any], message: str) -> None:
    damaged = {"space": {**STORED, **changes}}
    with pytest.raises(ValueError, match=message):
        stored_space(damaged)
    assert stored_believer(damaged, AXES2, None, 100).beliefs([]) == {}


def test_two_classes_and_one_pixel_are_enough_to_be_read() -> None:
    assert stored_space({"space": {**STORED, "classes": 2}}).classes == 2
    assert stored_space({"space": {**STORED, "input": [1, 1, 1]}}).input == (1, 1, 1)


def test_limits_of_the_latest_search_count(caplog: pytest.LogCaptureFixture) -> None:
    assert stored_limits(None) == stored_limits({}) == stored_limits({"limits": 3}) == Limits()
    assert stored_limits({"limits": {"max_macs": 5e4, "max_params": None}}) == Limits(max_macs=5e4)
    assert stored_believer({}, AXES2, {"limits": {"max_macs": 5e4}}, None).limits == Limits(max_macs=5e4)
    with caplog.at_level(logging.WARNING):
        assert stored_limits({"limits": {"max_macs": -1}}) == Limits()
    assert "limits of the study are damaged and left out" in caplog.text


def test_costs_are_known_by_their_names_and_by_the_configuration() -> None:
    depth = Axis("depth", "minimize", False, 0.0, 9.0)
    assert cost_axes([*AXES2, depth], None) == {"macs": "macs"}
    objectives = [{"name": "depth", "source": "cost", "key": "my_depth"}, {"name": "loss", "source": "curve"}]
    assert cost_axes([*AXES2, depth], {"objective": objectives}) == {"macs": "macs", "depth": "my_depth"}
