"""Networks that a search begins with: published ones, and architectures of a person's own, projected onto the space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

from nas.config.training import Recipe
from nas.study.architectures import EXPORTED, Studies, is_exported, named_architecture
from search_space.architecture import Architecture
from search_space.lowering import normalise
from search_space.projection import Projection, project
from search_space.references.architectures import ARCHITECTURES
from search_space.space import Space

WEIGHTS = "weights.safetensors"
"""File of the weights in the folder of an exported network."""
SHARE = "nas.training.starting_weights:inherited_share"
"""Function of a module that imports torch, which most searches do without."""


def projected_starts(names: Sequence[str], space: Space, studies: Studies | None = None) -> dict[str, Projection]:
    """Return networks scaled to the images and projected onto the space, by name.

    Args:
        names: published networks, JSON files of architectures, folders of exported networks, or trials as
            `STUDY:NUMBER`.
        space: the space.
        studies: place of the studies; None for the default one.

    Raises:
        ValueError: an unknown network, study or trial, or a file that is no architecture.
    """
    return {name: _projected(_found(name, space, studies or Studies()), space) for name in names}


def with_weights_of_starts(recipe: Recipe, names: Sequence[str]) -> Recipe:
    """Return the recipe with the weights of the exported network among the starts, unless it names others.

    Args:
        recipe: recipe of the search.
        names: the starts, of which folders of exported networks have weights.

    Raises:
        ValueError: several of them have, and the recipe does not say whose count.
    """
    if recipe.weights or recipe.weights_sha256:
        return recipe
    folders = [Path(name).expanduser() for name in names if name not in ARCHITECTURES]
    files = [folder / WEIGHTS for folder in folders if is_exported(folder) and (folder / WEIGHTS).is_file()]
    if len(files) > 1:
        raise ValueError(
            f"one exported network alone may be a start with its weights, got {', '.join(map(str, files))}: "
            f"training.weights=FILE chooses, FOLDER/{EXPORTED} is a start without weights"
        )
    return replace(recipe, weights=str(files[0])) if files else recipe


def inherited_shares(recipe: Recipe, starts: Mapping[str, Projection], classes: Sequence[str]) -> dict[str, float]:
    """Return the share of each start's parameters that begin as those of the recipe's file of weights, by name.

    Args:
        recipe: recipe of the search, located.
        starts: the starts.
        classes: names of the classes of the images.
    """
    if recipe.weights is None or not starts:
        return {}
    shared = resolve_name(SHARE)
    return {name: float(shared(recipe, start.architecture.to_json(), tuple(classes))) for name, start in starts.items()}


def _found(name: str, space: Space, studies: Studies) -> Architecture:
    if name in ARCHITECTURES:
        return ARCHITECTURES[name](space.input, space.classes)
    found = named_architecture(name, studies)
    if found is None:
        raise ValueError(
            f"start may name {', '.join(ARCHITECTURES)}, a JSON file, a folder of nas export or a trial as "
            f"STUDY:NUMBER, got {name!r}"
        )
    return found[0]


def _projected(architecture: Architecture, space: Space) -> Projection:
    """Return the projection of an architecture; one that is of the space but for the images is taken as it is."""
    here = replace(architecture, input=space.input, classes=space.classes, dropout=space.dropout)
    if space.contains(normalise(here)):
        return Projection(normalise(here), 0.0, 1.0)
    return project(space, architecture)
