"""Carries weights: from a published checkpoint to one of ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from search_space.graph import Graph
from search_space.network import Network, build
from search_space.references import LAYOUTS, REFERENCES
from search_space.references.layout import modules

SHOWN = 5  # names in an error, so that it stays readable


class WeightsError(ValueError):
    """Weights that do not fit a network; the message names the parameter."""


def load_reference_weights(name: str, state_dict: Mapping[str, Tensor]) -> Network:
    """The published network with the weights of a published checkpoint, in torchvision's or timm's names.

    The number of classes, and whether there are auxiliary classifiers, are the checkpoint's.

    Args:
        name: a reference with a known layout: `googlenet` (torchvision), `inception_v3` (torchvision and timm),
            `inception_v4`, `inception_resnet_v2`, `inception_next_atto`, `inception_next_tiny` (timm).
        state_dict: the checkpoint, read with `weights_only=True` or from safetensors.

    Raises:
        WeightsError: a parameter is missing, unknown or of the wrong shape; the message names it as published.
        ValueError: there is no layout of that name.
    """
    if name not in LAYOUTS:
        raise ValueError(f"a published layout must be one of {sorted(LAYOUTS)}, got {name!r}")
    table = dict(modules(LAYOUTS[name]))
    ours = {_renamed(key, table): (key, tensor) for key, tensor in state_dict.items()}
    network = build(_reference(name, ours))
    expected = network.state_dict()
    _check_names(expected, ours, {our: their for their, our in table.items()})
    for key, (published, tensor) in ours.items():
        if tensor.shape != expected[key].shape:
            raise WeightsError(
                f"{published} must have the shape {tuple(expected[key].shape)}, got {tuple(tensor.shape)}"
            )
    network.load_state_dict({**expected, **{key: tensor for key, (_, tensor) in ours.items()}})
    return network


def _renamed(key: str, table: Mapping[str, str]) -> str:
    """A parameter's name through a table of modules; a bare parameter stands in the table itself."""
    if key in table:
        return f"body.{table[key]}"
    module, _, leaf = key.rpartition(".")
    if module not in table:
        raise WeightsError(f"a checkpoint must have parameters of its network alone, got also {key}")
    return f"body.{table[module]}.{leaf}"


def _reference(name: str, ours: Mapping[str, tuple[str, Tensor]]) -> Graph:
    """The reference with the checkpoint's classes, and with auxiliary classifiers where it has them."""
    bias = ours.get("body.classifier.bias")
    if bias is None:
        raise WeightsError("a checkpoint must have its classifier's bias, it is missing")
    options: dict[str, bool] = {}
    if name in {"googlenet", "inception_v3"}:
        options["auxiliaries"] = any(key.startswith("body.aux") for key in ours)
    return REFERENCES[name](classes=bias[1].shape[0], **options)


def _check_names(
    expected: Mapping[str, Tensor], ours: Mapping[str, tuple[str, Tensor]], published: Mapping[str, str]
) -> None:
    """Counters of seen batches may be missing, as old checkpoints lack them; nothing else may."""
    foreign = [theirs for key, (theirs, _) in ours.items() if key not in expected]
    if foreign:
        raise WeightsError(f"a checkpoint must have parameters of its network alone, got also {_some(foreign)}")
    lacking = [key for key in expected if key not in ours and not key.endswith("num_batches_tracked")]
    if lacking:
        names = [_renamed(key.removeprefix("body."), published).removeprefix("body.") for key in lacking]
        raise WeightsError(f"a checkpoint must have every parameter of its network, lacks {_some(names)}")


def _some(names: Iterable[str]) -> str:
    every = list(names)
    rest = len(every) - SHOWN
    return ", ".join(every[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
