"""Baselines of a retraining: published networks, made as narrow as the networks that they are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.config.commands.networks import BASELINES
from nas.evaluation.facts import facts_of
from search_space.cost import cost
from search_space.documents import graph_of, reference_document
from search_space.graph import Shape

SMALL = 64
"""Side of an image below which a baseline has its form for small images."""
STEPS = 100
"""Width multipliers that are tried: 0.01, 0.02, ..., 1."""
SMALL_FORMS = {"googlenet": "googlenet_small"}
"""Forms for small images of networks whose own form does not fit them; the builders of the others see to it."""


@dataclass(frozen=True)
class Baseline:
    """Published network to compare with.

    Attributes:
        name: one of `BASELINES`.
        width: multiplier of its widths, in (0, 1].
        document: JSON form of the network, see `search_space.documents`.
    """

    name: str
    width: float
    document: Mapping[str, Any]

    @property
    def folder(self) -> str:
        """Name of its folder, of the name and the multiplier."""
        return f"{self.name}-{self.width:g}"

    def facts(self) -> dict[str, Any]:
        """Return name, identities, summary, architecture and costs, as JSON values."""
        facts = facts_of(self.document)
        named = {"baseline": self.name, "width": self.width}
        return {**named, **facts, "architecture": dict(self.document), "values": {}}


def scaled_baseline(name: str, shape: tuple[int, int, int], classes: int, most_macs: float) -> Baseline:
    """Return a published network with as large a multiplier of all its widths as keeps its MACs within a bound.

    The published widths are not exceeded. If even a hundredth of them costs more, the network has that width.

    Args:
        name: one of `BASELINES`.
        shape: (C, H, W) of the images.
        classes: number of classes.
        most_macs: largest number of MACs of one image.

    Raises:
        ValueError: there is no such baseline.

    >>> scaled_baseline("resnet20", (3, 32, 32), 10, 12e6).width
    0.53
    """
    if name not in BASELINES:
        raise ValueError(f"a baseline must be one of {', '.join(BASELINES)}, got {name!r}")
    form = SMALL_FORMS.get(name, name) if min(shape[1:]) < SMALL else name
    least, most = 1, STEPS
    while least < most:  # the costs grow with the multiplier
        middle = (least + most + 1) // 2
        document = reference_document(form, Shape(*shape), classes, middle / STEPS)
        least, most = (middle, most) if cost(graph_of(document)).macs <= most_macs else (least, middle - 1)
    document = reference_document(form, Shape(*shape), classes, least / STEPS)
    return Baseline(name, least / STEPS, document)
