"""JSON documents of networks: an architecture, a published network as it was published, or either without channels.

A published network stands for itself, `{"reference": "googlenet", "input": [3, 224, 224], "classes": 5}`, where its
weights must fit exactly: the architecture of the same name has the borders of a search. One that is made narrower by a
multiplier of its widths has it too, `"width": 0.5`. A pruned network is the network
that it was made of, with the channels that each convolution has lost, `{"pruned": {...}, "removed": {"stem": [0, 5]}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_space.architecture import Architecture, Stem
from search_space.graph import Graph, Shape
from search_space.limits import shown
from search_space.lowering import lower, summary
from search_space.pruning import Pruned, channel_classes, removed_classes, without
from search_space.references import REFERENCES, SCALABLE

REFERENCE, WIDTH, PRUNED, REMOVED = "reference", "width", "pruned", "removed"
AUXILIARY = ("googlenet", "inception_v3")
"""Published networks that may have auxiliary classifiers."""


def reference_document(name: str, shape: Shape, classes: int, width: float = 1.0) -> dict[str, Any]:
    """Return the document of a published network without auxiliary classifiers, with its widths times `width`."""
    plain = {REFERENCE: name, "input": list(shape), "classes": classes}
    return plain if width == 1 else {**plain, WIDTH: width}


def graph_of(document: Mapping[str, Any]) -> Graph:
    """Return the graph of a network.

    Args:
        document: JSON form of an architecture, of a published network or of a pruned one.

    Raises:
        ValueError: the document is none of them, or a node of the network does not fit its input.

    >>> graph_of(reference_document("resnet20", Shape(3, 32, 32), 7)).output.size
    7
    """
    if _has(document, PRUNED):
        return pruned_of(document).graph
    if not _has(document, REFERENCE):
        return lower(Architecture.from_json(document))
    name = document[REFERENCE]
    if name not in REFERENCES:
        raise ValueError(f"{REFERENCE} must be one of {', '.join(REFERENCES)}, got {shown(name)}")
    if document.keys() - {WIDTH} != {REFERENCE, "input", "classes"}:
        raise ValueError(f"a published network must have reference, input and classes, got {shown(sorted(document))}")
    options: dict[str, Any] = {"auxiliaries": False} if name in AUXILIARY else {}
    if WIDTH in document:
        options[WIDTH] = _width(document)
    plain = _checked(document)
    graph = REFERENCES[name](plain.input, plain.classes, **options)
    assert graph.output.size == plain.classes  # walks the whole network: a node that does not fit raises here
    return graph


def without_auxiliaries(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a network without auxiliary classifiers, which serve a training alone.

    Args:
        document: JSON form of an architecture, of a published network or of a pruned one; the last two have none.

    >>> without_auxiliaries({"stages": [{"blocks": [], "auxiliary": "v3"}]})
    {'stages': [{'blocks': []}]}
    """
    if "stages" not in document:
        return dict(document)
    stages = [{key: value for key, value in stage.items() if key != "auxiliary"} for stage in document["stages"]]
    return {**document, "stages": stages}


def pruned_document(parent: Mapping[str, Any], pruned: Pruned) -> dict[str, Any]:
    """Return the document of a network without some channels, from that of the network that it was made of."""
    return {PRUNED: dict(parent), REMOVED: pruned.document()}


def pruned_of(document: Mapping[str, Any]) -> Pruned:
    """Return the network of a document of a pruned one.

    Raises:
        ValueError: it is no such document, of a pruned network itself, or names channels that can't be removed.
    """
    if document.keys() != {PRUNED, REMOVED}:
        raise ValueError(f"a pruned network must have {PRUNED} and {REMOVED}, got {shown(sorted(document))}")
    parent, lost = document[PRUNED], document[REMOVED]
    if _has(parent, PRUNED) or not isinstance(lost, Mapping):
        raise ValueError(f"a pruned network must be made of one that is not, with {REMOVED} by path")
    graph = graph_of(parent)
    classes = channel_classes(graph)
    return without(graph, removed_classes(classes, lost), classes)


def network_document(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the document of the network that a pruned one was made of, or the document itself."""
    parent: Mapping[str, Any] = document[PRUNED] if _has(document, PRUNED) else document
    return parent


def input_of(document: Mapping[str, Any]) -> Shape:
    """Return the shape of one image of a network, as `graph_of` takes it."""
    return Shape(*network_document(document)["input"])


def summary_of(document: Mapping[str, Any]) -> str:
    """Return one readable line about a network, as `graph_of` takes it.

    >>> summary_of(reference_document("resnet20", Shape(3, 32, 32), 7))
    'resnet20'
    >>> summary_of(reference_document("resnet20", Shape(3, 32, 32), 7, 0.5))
    'resnet20 of 0.5 times the width'
    """
    if _has(document, PRUNED):
        return f"{summary_of(document[PRUNED])} without {sum(map(len, document[REMOVED].values()))} channels"
    if not _has(document, REFERENCE):
        return summary(Architecture.from_json(document))
    return str(document[REFERENCE]) + (f" of {document[WIDTH]:g} times the width" if WIDTH in document else "")


def fitted(document: Mapping[str, Any], shape: Shape, classes: int) -> dict[str, Any]:
    """Return the document of the same network for other images and another number of classes."""
    if _has(document, PRUNED):
        return {**document, PRUNED: fitted(document[PRUNED], shape, classes)}
    return {**document, "input": list(shape), "classes": classes}


def _has(document: object, key: str) -> bool:
    return isinstance(document, Mapping) and key in document


def _width(document: Mapping[str, Any]) -> float:
    """Return the width multiplier of a published network."""
    name, width = document[REFERENCE], document[WIDTH]
    if name not in SCALABLE:
        raise ValueError(f"{WIDTH} may be that of {', '.join(SCALABLE)}, got that of {shown(name)}")
    if not isinstance(width, (int, float)) or isinstance(width, bool) or not 0 < width <= 1:
        raise ValueError(f"{WIDTH} must be a number in (0, 1], got {shown(width)}")
    return width


def _checked(document: Mapping[str, Any]) -> Architecture:
    """Return an architecture with the document's input and classes, which are in range then."""
    return Architecture.from_json({**{key: document[key] for key in ("input", "classes")}, "stem": _STEM, "stages": []})


_STEM = Stem(1).to_json()
