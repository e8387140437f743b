"""Networks that exports are checked with: of every space, of every block family, and as they were published."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from search_space.blocks import SEARCHABLE, Family, families
from search_space.blocks.fields import declared
from search_space.documents import fitted, graph_of, reference_document, without_auxiliaries
from search_space.graph import Shape
from search_space.network import Network as Module
from search_space.references import REFERENCES
from search_space.space import Space, intent_of, parse_space

SPACES = Path(__file__).resolve().parents[1] / "conf" / "space"
CLASSES = 10
SIDES = (16, 32, 64, 96, 128, 192, 224, 299)
LEAST = {True: 64, False: 16}
"""Smallest side that is tried, for networks for large and for small images."""
LARGE = 128
SHAPES = (Shape(3, 16, 16), Shape(1, 15, 18))


@dataclass(frozen=True)
class Network:
    """Network to export.

    Attributes:
        name: its name for readers.
        document: its JSON form, see `search_space.documents`.
        seed: of its weights and images.
    """

    name: str
    document: Mapping[str, Any]
    seed: int


def drawn(count: int, seed: int) -> Iterator[Network]:
    """Yield random architectures, of each space and each family in turn."""
    sources = [*shipped_spaces(), *map(family_space, (name for name in families() if name != SEARCHABLE))]
    for number in range(count):
        space = sources[number % len(sources)]
        generator = random.Random(f"{seed} {number}")
        document = without_auxiliaries(space.draw(generator).to_json())
        side = max(space.input.height, space.input.width)
        if number % len(sources) < len(list(SPACES.glob("*.yaml"))) and space.input.height > 1:
            document = smallest(document, LEAST[side >= LARGE], CLASSES)
        yield Network(f"{number}: {space.name}", document, 1000 * seed + number)


def published(names: Sequence[str]) -> Iterator[Network]:
    """Yield published networks for the smallest images that they fit."""
    for number, name in enumerate(names):
        own = REFERENCES[name]().input
        document = reference_document(name, own, CLASSES)
        yield Network(name, smallest(document, LEAST[own.height >= LARGE], CLASSES), number)


def smallest(document: Mapping[str, Any], least: int, classes: int) -> dict[str, Any]:
    """Return the document for the smallest square images of a side of `least` or more that all layers fit."""
    for side in (side for side in SIDES if side >= least):
        found = fitted(document, Shape(document["input"][0], side, side), classes)
        try:
            graph_of(found)
        except ValueError:
            continue
        return found
    raise ValueError(f"a network must fit images of a side of {SIDES[-1]}, this one does not: {document}")


def shipped_spaces() -> Iterator[Space]:
    """Yield the spaces of the configuration, each on the images that it is meant for."""
    for file in sorted(SPACES.glob("*.yaml")):
        mapping = yaml.safe_load(file.read_text(encoding="utf-8"))
        intent = intent_of(mapping)
        yield parse_space(mapping, intent.input if intent else Shape(3, 32, 32), CLASSES)


def family_space(name: str) -> Space:
    """Return a space of one or two blocks of a family, with all its words and some of its numbers."""
    family = families()[name]
    block = {"family": name, **options_of(family)}
    stage: dict[str, Any] = {"depth": [1, 2], "block": block}
    if family.reduces:
        stage = {"depth": 1, "reduction": "block", "grid": block, "block": {"family": "v4a", "reduce": 4, "out": 8}}
    shape = SHAPES[list(families()).index(name) % len(SHAPES)]
    return parse_space({"name": name, "stem": {"width": [6, 8]}, "stages": [stage]}, shape, CLASSES)


def options_of(family: Family) -> dict[str, list[Any]]:
    """Return options for every field of a family."""
    assert isinstance(family.parse, partial)
    found: dict[str, list[Any]] = {}
    for name, entry in declared(family.parse.args[0]).items():
        told = entry.metadata
        if "allowed" in told:
            found[name] = [*told["allowed"], *([0.25, 0.5] if "fraction" in told else [])]
        elif "fraction" in told:
            found[name] = [0.1, 0.5, 1.0]
        elif "channels" in told:
            found[name] = [*([0] if told["least"] == 0 else []), 4, 6, 9]
        else:
            found[name] = [1, 2, 3]
    return found


def randomised(network: Module, shape: Shape, seed: int) -> Module:
    """Return a network in evaluation mode whose every number differs from where it starts, with logits of about 1.

    Norms, biases and scales get noise, and running statistics are those of one batch of random images.
    """
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        network.train()(torch.randn(8, *shape))
    return network.eval()
