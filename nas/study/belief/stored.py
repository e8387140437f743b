"""Believer of a stored study, made from its fingerprint."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from nas.objectives.costs import built_in_costs
from nas.objectives.pareto import Axis
from nas.objectives.requirements import exact_measure
from nas.study.belief.believer import Believer
from nas.study.belief.features import FeatureMap
from search_space.graph import Shape
from search_space.space import Space, parse_space

log = logging.getLogger(__name__)


def believer_for(
    space: Space, axes: Sequence[Axis], costs: Mapping[str, str], validation_images: int | None
) -> Believer:
    """Return the believer of a search.

    Args:
        space: the search space.
        axes: the objectives.
        costs: the cost that an objective is, by the objective's name, for those that are costs.
        validation_images: number of validation images; None if it is not known.
    """
    measure = exact_measure()
    return Believer(axes, costs, FeatureMap(space, lambda architecture: measure(architecture)[1]), validation_images)


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
    costs = cost_axes(axes, config)
    mapping = dict(fingerprint.get("space", {}))
    if not {"input", "classes"} <= mapping.keys():
        return Believer(axes, costs, None, images)
    shape, classes = Shape(*mapping.pop("input")), int(mapping.pop("classes"))
    try:
        return believer_for(parse_space(mapping, shape, classes), axes, costs, images)
    except ValueError as error:
        log.info("measured values are believed, since the space can't be read: %s", error)
        return Believer(axes, costs, None, images)


def cost_axes(axes: Sequence[Axis], config: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the cost that each objective is, by name, for those that are costs."""
    names = built_in_costs().names
    found = {axis.name: axis.name for axis in axes if axis.name in names}
    for objective in (config or {}).get("objective", ()):
        if objective.get("source") == "cost":
            found[objective["name"]] = objective["key"]
    return found
