"""Networks on training images that grow from a small size; the augmentation in the log."""

from __future__ import annotations

import logging
import random

import pytest
import torch
import yaml

from nas.cli.app.compose import conf_dir
from nas.config.augmentation import AugmentationSpec
from nas.config.data import DataSpec
from nas.config.training import Recipe
from nas.search import training_images
from nas.search.training_images import announce_augmentation, check_networks_resized, check_resized
from search_space.graph import Shape
from search_space.leaves import ShapeError
from search_space.lowering import lower
from search_space.network import build
from search_space.space import Space, parse_space


def space(name: str, side: int) -> Space:
    mapping = yaml.safe_load((conf_dir() / "space" / f"{name}.yaml").read_text(encoding="utf-8"))
    return parse_space(mapping, Shape(3, side, side), 10)


@pytest.mark.parametrize(("name", "side", "smallest"), [("quick", 8, 1), ("cifar", 32, 4), ("v3", 299, 75)])
def test_networks_run_on_their_smallest_images(name: str, side: int, smallest: int) -> None:
    check_resized(Recipe(progressive_resize=smallest / side), space(name, side))
    network = build(lower(space(name, side).draw(random.Random(0))))
    output = network(torch.zeros(2, 3, smallest, smallest))
    logits = output if isinstance(output, torch.Tensor) else output[0]
    assert logits.shape == (2, 10)


def test_a_network_that_does_not_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(graph: object) -> None:
        raise ShapeError("kernel must fit into the padded input")

    quick = space("quick", 8)
    monkeypatch.setattr(training_images, "cost", fails)
    architecture = quick.draw(random.Random(0))
    law = r"networks must run on the smallest images of training.progressive_resize=0.5, 4x4, \w+ does not: kernel must"
    with pytest.raises(ValueError, match=law):
        check_networks_resized(Recipe(progressive_resize=0.5), [architecture.to_json()])
    with pytest.raises(ValueError, match=law):
        check_resized(Recipe(progressive_resize=0.5), quick)
    check_resized(Recipe(), quick)


@pytest.mark.parametrize(
    ("images", "names", "lines"),
    [
        (DataSpec(flip=True), (), []),
        (DataSpec(), ("crop", "flip"), ["augmentation: crop, flip"]),
        (
            DataSpec(flip=True, crop_padding=4),
            ("cutout",),
            ["augmentation: cutout; without data.crop_padding=4 and data.flip=true of the images"],
        ),
    ],
)
def test_augmentations_are_told_with_what_they_replace(
    images: DataSpec, names: tuple[str, ...], lines: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "nas"):
        announce_augmentation(images, Recipe(augmentation=tuple(AugmentationSpec(name, name) for name in names)))
    assert caplog.messages == lines
