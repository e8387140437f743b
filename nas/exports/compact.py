"""Compact form of an ONNX file: what a runtime does not need or fills in by itself, left out."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.exports.libraries import optional

DIGITS = string.ascii_letters + string.digits
DEFAULTS: Mapping[str, Any] = {
    "allowzero": 0,
    "alpha": 1.0,
    "auto_pad": b"NOTSET",
    "beta": 1.0,
    "ceil_mode": 0,
    "count_include_pad": 0,
    "keepdims": 1,
    "noop_with_empty_axes": 0,
    "storage_order": 0,
    "transA": 0,
}
"""Attributes with one default for every operator that has them."""
EXCEPTIONS = ("Elu", "LeakyRelu", "HardSigmoid", "LRN", "Selu", "ThresholdedRelu", "Celu")
"""Operators whose attributes of these names have other defaults."""
SPATIAL: Mapping[str, int] = {"dilations": 1, "strides": 1, "pads": 0}
"""Attributes with one default for every axis."""

LINEAR = ("Gemm", "MatMul")
"""Operators of linear layers."""
WITH_ZERO_POINT = 3
"""Inputs of a `DequantizeLinear` that names its zero point: value, scale, zero point."""


def compact(path: Path) -> None:
    """Rewrite an ONNX file without what is not needed; names inside become short. It computes what it did before.

    Inputs, outputs and the metadata of this project stay. In a small network of 8 bits, names, attributes with their
    default values and zero points of 0 are more bytes than the weights.
    """
    onnx = optional("onnx")
    model = onnx.load(path)
    graph = model.graph
    _drop_zero_points(onnx, graph)
    _share_constants(onnx, graph)
    for node in graph.node:
        _drop_defaults(onnx, node)
    _shorten_names(graph)
    del graph.value_info[:], graph.quantization_annotation[:]
    domains = {node.domain for node in graph.node}
    _keep(model.opset_import, [opset for opset in model.opset_import if opset.domain in domains])
    for entry in model.metadata_props:
        if entry.key == "architecture":
            entry.value = json.dumps(json.loads(entry.value), separators=(",", ":"))
    _keep(model.metadata_props, [entry for entry in model.metadata_props if not entry.key.startswith("onnx.")])
    onnx.save(model, path)


def _keep(field: Any, kept: list[Any]) -> None:
    """Keep some entries of a repeated field."""
    copies = [type(entry).FromString(entry.SerializeToString()) for entry in kept]
    del field[:]
    field.extend(copies)


def _drop_zero_points(onnx: Any, graph: Any) -> None:
    """Leave out zero points of weights and biases that are 0, which is the default of `DequantizeLinear`.

    Those of a linear layer's weights stay: without them ONNX Runtime multiplies in float32.
    """
    constants = {tensor.name: tensor for tensor in graph.initializer}
    multiplied = {name for node in graph.node if node.op_type in LINEAR for name in node.input[:2]}
    for node in graph.node:
        if node.op_type != "DequantizeLinear" or len(node.input) != WITH_ZERO_POINT or node.input[0] not in constants:
            continue
        if node.output[0] in multiplied:
            continue
        point = constants.get(node.input[2])
        if point is not None and not onnx.numpy_helper.to_array(point).any():
            del node.input[2]
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    _keep(graph.initializer, [tensor for tensor in graph.initializer if tensor.name in used])


def _share_constants(onnx: Any, graph: Any) -> None:
    """Keep one of several equal constants, and the bytes of each as such."""
    names: dict[tuple[Any, ...], str] = {}
    other: dict[str, str] = {}
    kept = []
    for tensor in graph.initializer:
        array = onnx.numpy_helper.to_array(tensor)
        key = (tensor.data_type, array.shape, array.tobytes())
        if key in names:
            other[tensor.name] = names[key]
            continue
        names[key] = tensor.name
        kept.append(onnx.numpy_helper.from_array(array, tensor.name))
    _keep(graph.initializer, kept)
    for node in graph.node:
        node.input[:] = [other.get(name, name) for name in node.input]


def _drop_defaults(onnx: Any, node: Any) -> None:
    """Leave out a node's name, its comment, and attributes that have their default values."""
    node.ClearField("name")
    node.ClearField("doc_string")
    kept = []
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        default = None if node.op_type in EXCEPTIONS else DEFAULTS.get(attribute.name)
        if default is not None and value == default:
            continue
        if attribute.name in SPATIAL and set(value) == {SPATIAL[attribute.name]}:
            continue
        if node.op_type == "Conv" and (attribute.name == "kernel_shape" or (attribute.name, value) == ("group", 1)):
            continue  # the kernel's shape is the weight's
        kept.append(attribute)
    _keep(node.attribute, kept)


def _shorten_names(graph: Any) -> None:
    short: dict[str, str] = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}

    def renamed(name: str) -> str:
        return short.setdefault(name, _numeral(len(short)))

    for node in graph.node:
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
    for tensor in graph.initializer:
        tensor.name = renamed(tensor.name)
    for value in (*graph.input, *graph.output):
        value.ClearField("doc_string")
        value.ClearField("metadata_props")


def _numeral(number: int) -> str:
    """Return a number in base 62.

    >>> _numeral(0), _numeral(61), _numeral(62)
    ('a', '9', 'ba')
    """
    text = DIGITS[number % len(DIGITS)]
    return text if number < len(DIGITS) else _numeral(number // len(DIGITS)) + text
