"""Training images of a recipe: networks that run on the smallest of them, and a word on their augmentation."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Mapping
from typing import Any

from nas.config.data import DataSpec
from nas.config.training import Recipe
from nas.data.resize import Resizing
from search_space.cost import cost
from search_space.documents import fitted, graph_of, input_of, network_document
from search_space.identity import canonical_json, digest
from search_space.leaves import ShapeError
from search_space.space import Space

log = logging.getLogger(__name__)

TRIED = 32
"""Random networks of a space that stand for all."""


def check_resized(recipe: Recipe, space: Space) -> None:
    """Refuse training images that grow from a size that networks of a space do not run on.

    Raises:
        ValueError: one of some random networks does not.
    """
    if recipe.progressive_resize is not None:
        generator = random.Random(0)
        check_networks_resized(recipe, [space.draw(generator).to_json() for _ in range(TRIED)])


def check_networks_resized(recipe: Recipe, networks: Iterable[Mapping[str, Any]]) -> None:
    """Refuse training images that grow from a size that one of the networks does not run on.

    Args:
        recipe: the recipe.
        networks: JSON forms of networks, see `search_space.documents`.

    Raises:
        ValueError: such a network.
    """
    resizing = Resizing.of(recipe)
    if resizing is not None:
        for document in networks:
            _check(document, resizing)


def _check(document: Mapping[str, Any], resizing: Resizing) -> None:
    shape = input_of(document)
    smallest = shape._replace(height=resizing.side(shape.height, 0), width=resizing.side(shape.width, 0))
    try:
        cost(graph_of(fitted(document, smallest, network_document(document)["classes"])))
    except ShapeError as error:
        raise ValueError(
            f"networks must run on the smallest images of training.progressive_resize={resizing.start:g}, "
            f"{smallest.height}x{smallest.width}, {digest(canonical_json(document))} does not: {error}"
        ) from error


def announce_augmentation(spec: DataSpec, recipe: Recipe) -> None:
    """Log the augmentations that a recipe names, and the settings of the images that they replace."""
    if not recipe.augmentation:
        return
    settings = {"data.crop_padding": spec.crop_padding, "data.flip": str(spec.flip).lower() if spec.flip else None}
    replaced = [f"{name}={value}" for name, value in settings.items() if value]
    names = ", ".join(each.name for each in recipe.augmentation)
    log.info("augmentation: %s%s", names, f"; without {' and '.join(replaced)} of the images" if replaced else "")
