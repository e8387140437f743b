"""Check that networks run on the smallest images of a training, before any is trained."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace

from nas.config.training import Recipe
from nas.data.resize import Resizing
from search_space.architecture import Architecture
from search_space.cost import cost
from search_space.leaves import ShapeError
from search_space.lowering import lower
from search_space.space import Space

TRIED = 32
"""Random networks of a space that stand for all."""


def check_resized(recipe: Recipe, space: Space) -> None:
    """Refuse training images that grow from a size that networks of a space do not run on.

    Raises:
        ValueError: one of some random networks does not.
    """
    if recipe.progressive_resize is not None:
        generator = random.Random(0)
        check_networks_resized(recipe, [space.draw(generator) for _ in range(TRIED)])


def check_networks_resized(recipe: Recipe, networks: Iterable[Architecture]) -> None:
    """Refuse training images that grow from a size that one of the networks does not run on.

    Raises:
        ValueError: such a network.
    """
    resizing = Resizing.of(recipe)
    if resizing is not None:
        for architecture in networks:
            _check(architecture, resizing)


def _check(architecture: Architecture, resizing: Resizing) -> None:
    _, height, width = architecture.input
    smallest = architecture.input._replace(height=resizing.side(height, 0), width=resizing.side(width, 0))
    try:
        cost(lower(replace(architecture, input=smallest)))
    except ShapeError as error:
        raise ValueError(
            f"networks must run on the smallest images of training.progressive_resize={resizing.start:g}, "
            f"{smallest.height}x{smallest.width}, {architecture.id} does not: {error}"
        ) from error
