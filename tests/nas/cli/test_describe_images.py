"""Images that a description is for: those that are given, or else those that the space is meant for."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from nas.cli import main
from nas.cli.app.compose import compose
from nas.data import describe
from nas.search.build import prepare, space_for
from nas.search.conduct import _log_plan
from nas.search.fingerprint import fingerprint
from search_space.choices import SpaceError
from search_space.graph import Shape
from search_space.space import Intent, intent_of


def described(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["describe", "samples=20", "format=json", *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_space_is_costed_on_the_images_that_it_is_meant_for(capsys: pytest.CaptureFixture[str]) -> None:
    meant = described(capsys, "space=imagenet")
    assert (meant["input"], meant["classes"]) == ([3, 224, 224], 1000)
    assert meant["costs"]["macs"]["median"] > 1e9
    given = described(capsys, "space=imagenet", "data=digits")
    assert (given["input"], given["classes"]) == ([1, 8, 8], 10)
    assert given["costs"]["macs"]["median"] < 1e8
    assert given["memory"]["eager_mib"]["max"] >= given["costs"]["memory_mib"]["max"]


def test_a_space_that_is_meant_for_none_is_costed_on_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "samples=5"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "for 1×8×8 images and 10 classes" in out
    assert "memory counts activations alive at once in inference" in out
    assert "in eager PyTorch: median" in out


def test_a_network_says_its_images_and_its_memory_in_pytorch(capsys: pytest.CaptureFixture[str]) -> None:
    network = described(capsys, "reference=googlenet")
    assert (network["input"], network["classes"]) == ([3, 224, 224], 1000)
    assert network["costs"]["memory_mib"] == pytest.approx(3.83, abs=0.005)
    assert network["memory"]["eager_mib"] == pytest.approx(6.70, abs=0.005)


def test_a_search_far_from_the_meant_images_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    plan = prepare(compose("search", ["space=cifar", "tracking=none"]))
    with caplog.at_level(logging.WARNING):
        _log_plan(plan)
    assert "space cifar is meant for images of 3×32×32, these are 1×8×8" in caplog.messages
    caplog.clear()
    _log_plan(prepare(compose("search", ["tracking=none"])))
    assert not [message for message in caplog.messages if "meant for" in message]


def test_the_meant_images_are_no_part_of_what_a_study_is_made_with() -> None:
    config = compose("search", ["space=cifar"])
    images = describe(config.data)
    assert "intent" in config.space
    assert "intent" not in fingerprint(config, images, space_for(config.space, images), [])["space"]


INTENTS: list[object] = [
    3,
    [],
    {"input": [1, 2]},
    {"input": [3, 0, 8], "classes": 2},
    {"input": 3, "classes": 2},
    {"input": [3, 8, 10**9], "classes": 2},
    {"input": [3, 8, 8], "classes": 1},
]


@pytest.mark.parametrize("intent", INTENTS)
def test_an_intent_that_cannot_be_is_refused(intent: object) -> None:
    with pytest.raises(SpaceError, match="intent"):
        intent_of({"intent": intent})


@pytest.mark.parametrize(("side", "suits"), [(8, False), (112, True), (299, True), (448, True), (500, False)])
def test_images_between_half_and_twice_the_size_suit(side: int, suits: bool) -> None:
    assert Intent(Shape(3, 224, 224), 10).suits(Shape(1, side, side)) is suits
