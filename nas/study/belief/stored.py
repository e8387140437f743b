"""Believer of a stored study, made from its fingerprint."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from nas.objectives.costs import built_in_costs
from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis
from nas.objectives.requirements import exact_measure
from nas.study.belief.believer import Believer
from nas.study.belief.features import FeatureMap
from search_space.graph import Shape
from search_space.space import Space, parse_space

log = logging.getLogger(__name__)


def believer_for(
    space: Space,
    axes: Sequence[Axis],
    costs: Mapping[str, str],
    validation_images: int | None,
    limits: Limits | None = None,
) -> Believer:
    """Return the believer of a search.

    Args:
        space: the search space.
        axes: the objectives.
        costs: the cost that an objective is, by the objective's name, for those that are costs.
        validation_images: number of validation images; None if it is not known.
        limits: limits that a network of the front meets; None for none.
    """
    measure = exact_measure()
    features = FeatureMap(space, lambda architecture: measure(architecture)[1])
    return Believer(axes, costs, features, validation_images, limits)


def stored_limits(config: Mapping[str, Any] | None) -> Limits:
    """Return the limits of a stored configuration, those of the latest search; none if they can't be read."""
    found = (config or {}).get("limits")
    try:
        return Limits(**found) if isinstance(found, Mapping) else Limits()
    except (TypeError, ValueError) as error:
        log.warning("limits of the study are damaged and left out: %s", error)
        return Limits()


def stored_believer(
    fingerprint: Mapping[str, Any], axes: Sequence[Axis], config: Mapping[str, Any] | None, images: int | None
) -> Believer:
    """Return the believer of a stored study; one of measured values if its space can't be read here.

    Args:
        fingerprint: the study's fingerprint.
        axes: its objectives.
        config: configuration of its latest search, which says what the objectives are; None takes their names.
        images: number of its validation images; None if it is not known.
    """
    costs, limits = cost_axes(axes, config), stored_limits(config)
    if not is_of_space(fingerprint):
        return Believer(axes, costs, None, images, limits)
    try:
        return believer_for(stored_space(fingerprint), axes, costs, images, limits)
    except ValueError as error:
        log.info("measured values are believed, since the space can't be read: %s", error)
        return Believer(axes, costs, None, images, limits)


def is_of_space(fingerprint: Mapping[str, Any]) -> bool:
    """Return whether a fingerprint says of what images its space is."""
    return {"input", "classes"} <= set(fingerprint.get("space", {}))


def stored_space(fingerprint: Mapping[str, Any]) -> Space:
    """Return the space of a stored study.

    Args:
        fingerprint: its fingerprint.

    Raises:
        ValueError: it can't be read here.
    """
    mapping = dict(fingerprint["space"])
    extents, classes = mapping.pop("input"), mapping.pop("classes")
    if not isinstance(extents, list) or len(extents) != 3 or not all(type(n) is int and n > 0 for n in extents):
        raise ValueError(f"input must be [channels, height, width], got {extents}")
    if type(classes) is not int or classes < 2:
        raise ValueError(f"classes must be an integer of at least 2, got {classes}")
    try:
        return parse_space(mapping, Shape(*extents), classes)
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"space must be readable, got {type(error).__name__}: {error}") from error


def cost_axes(axes: Sequence[Axis], config: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the cost that each objective is, by name, for those that are costs."""
    names = built_in_costs().names
    found = {axis.name: axis.name for axis in axes if axis.name in names}
    for objective in (config or {}).get("objective", ()):
        if objective.get("source") == "cost":
            found[objective["name"]] = objective["key"]
    return found
