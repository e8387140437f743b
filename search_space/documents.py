"""JSON documents of networks: an architecture, or a published network as it was published.

A published network stands for itself, `{"reference": "googlenet", "input": [3, 224, 224], "classes": 5}`, where its
weights must fit exactly: the architecture of the same name has the borders of a search.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_space.architecture import Architecture, Stem
from search_space.graph import Graph, Shape
from search_space.limits import shown
from search_space.lowering import lower, summary
from search_space.references import REFERENCES

REFERENCE = "reference"
AUXILIARY = ("googlenet", "inception_v3")
"""Published networks that may have auxiliary classifiers."""


def reference_document(name: str, shape: Shape, classes: int) -> dict[str, Any]:
    """Return the document of a published network without auxiliary classifiers."""
    return {REFERENCE: name, "input": list(shape), "classes": classes}


def graph_of(document: Mapping[str, Any]) -> Graph:
    """Return the graph of a network.

    Args:
        document: JSON form of an architecture or of a published network.

    Raises:
        ValueError: the document is neither, or a node of the network does not fit its input.

    >>> graph_of(reference_document("resnet20", Shape(3, 32, 32), 7)).output.size
    7
    """
    if not _is_reference(document):
        return lower(Architecture.from_json(document))
    name = document[REFERENCE]
    if name not in REFERENCES:
        raise ValueError(f"{REFERENCE} must be one of {', '.join(REFERENCES)}, got {shown(name)}")
    if document.keys() != {REFERENCE, "input", "classes"}:
        raise ValueError(f"a published network must have reference, input and classes, got {shown(sorted(document))}")
    options = {"auxiliaries": False} if name in AUXILIARY else {}
    plain = _checked(document)
    graph = REFERENCES[name](plain.input, plain.classes, **options)
    assert graph.output.size == plain.classes  # walks the whole network: a node that does not fit raises here
    return graph


def summary_of(document: Mapping[str, Any]) -> str:
    """Return one readable line about a network, as `graph_of` takes it.

    >>> summary_of(reference_document("resnet20", Shape(3, 32, 32), 7))
    'resnet20'
    """
    return str(document[REFERENCE]) if _is_reference(document) else summary(Architecture.from_json(document))


def fitted(document: Mapping[str, Any], shape: Shape, classes: int) -> dict[str, Any]:
    """Return the document of the same network for other images and another number of classes."""
    return {**document, "input": list(shape), "classes": classes}


def _is_reference(document: object) -> bool:
    return isinstance(document, Mapping) and REFERENCE in document


def _checked(document: Mapping[str, Any]) -> Architecture:
    """Return an architecture with the document's input and classes, which are in range then."""
    return Architecture.from_json({**{key: document[key] for key in ("input", "classes")}, "stem": _STEM, "stages": []})


_STEM = Stem(1).to_json()
