"""Networks that a search begins with: published ones, and architectures of a person's own, projected onto the space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nas.study.architectures import Studies, named_architecture
from search_space.architecture import Architecture
from search_space.lowering import normalise
from search_space.projection import Projection, project
from search_space.references.architectures import ARCHITECTURES
from search_space.space import Space


def projected_starts(names: Sequence[str], space: Space, studies: Studies | None = None) -> dict[str, Projection]:
    """Return networks scaled to the images and projected onto the space, by name.

    Args:
        names: published networks, JSON files of architectures, or trials as `STUDY:NUMBER`.
        space: the space.
        studies: place of the studies; None for the default one.

    Raises:
        ValueError: an unknown network, study or trial, or a file that is no architecture.
    """
    return {name: _projected(_found(name, space, studies or Studies()), space) for name in names}


def _found(name: str, space: Space, studies: Studies) -> Architecture:
    if name in ARCHITECTURES:
        return ARCHITECTURES[name](space.input, space.classes)
    found = named_architecture(name, studies)
    if found is None:
        raise ValueError(
            f"start may name {', '.join(ARCHITECTURES)}, a JSON file or a trial as STUDY:NUMBER, got {name!r}"
        )
    return found[0]


def _projected(architecture: Architecture, space: Space) -> Projection:
    """Return the projection of an architecture; one that is of the space but for the images is taken as it is."""
    here = replace(architecture, input=space.input, classes=space.classes, dropout=space.dropout)
    if space.contains(normalise(here)):
        return Projection(normalise(here), 0.0, 1.0)
    return project(space, architecture)
