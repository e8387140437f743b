"""Check that the networks of a search can be trained on augmented and resized images, before any is."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from nas import data
from nas.config.training import Recipe
from nas.data import DataInfo, DataSpec
from nas.data.resize import Resizing
from search_space.architecture import Architecture
from search_space.cost import cost
from search_space.leaves import ShapeError
from search_space.lowering import lower
from search_space.space import Space

TRIED = 32
"""Random networks of a space that stand for all."""


def check_training_images(
    spec: DataSpec, recipe: Recipe, images: DataInfo, networks: Space | Iterable[Architecture]
) -> None:
    """Refuse augmentations that can't be made, and resized images that a network can't be trained on.

    Args:
        spec: the image set.
        recipe: the training recipe.
        images: shape and classes of the images.
        networks: networks to train, or their space, of which some are tried.

    Raises:
        ValueError: such a recipe.
    """
    if recipe.augmentation:
        data.make_augmentation(spec, recipe, images.shape, len(images.classes))
    resizing = Resizing.of(recipe)
    if resizing is None:
        return
    if isinstance(networks, Space):
        generator = random.Random(0)
        networks = islice(map(networks.draw, iter(lambda: generator, None)), TRIED)
    for architecture in networks:
        _check_size(architecture, resizing)


def _check_size(architecture: Architecture, resizing: Resizing) -> None:
    channels, height, width = architecture.input
    smallest = architecture.input._replace(height=resizing.side(height, 0), width=resizing.side(width, 0))
    try:
        cost(lower(replace(architecture, input=smallest)))
    except ShapeError as error:
        raise ValueError(
            f"networks must run on the smallest images of training.progressive_resize={resizing.start:g}, "
            f"{smallest.height}x{smallest.width}, {architecture.id} does not: {error}"
        ) from error
