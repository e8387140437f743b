"""Transfer of weights: from a published checkpoint, and across a rewrite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from search_space.graph import Graph
from search_space.lowering import lower
from search_space.network import Network, build
from search_space.references import LAYOUTS, REFERENCES
from search_space.references.architectures import ARCHITECTURES
from search_space.references.layout import modules
from search_space.rewrite import Rewritten, below

SHOWN = 5  # names in an error


class WeightsError(ValueError):
    """Weights that do not fit a network; the message names the parameter."""


def load_reference_weights(name: str, state_dict: Mapping[str, Tensor]) -> Network:
    """Return a published network with the weights of a published checkpoint, in torchvision's or timm's names.

    The number of classes and the presence of auxiliary classifiers are the checkpoint's.

    Args:
        name: a reference with a known layout: `googlenet`, `mobilenet_v2` (torchvision), `inception_v3` (torchvision
            and timm), `inception_v4`, `inception_resnet_v2`, `xception`, `inception_next_atto`, `inception_next_tiny`
            (timm).
        state_dict: parameters of the checkpoint, read with `weights_only=True` or from safetensors.

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


def published_state(name: str, state_dict: Mapping[str, Tensor]) -> tuple[int, dict[str, Tensor]]:
    """Return the classes of a published checkpoint, and its weights in our names without auxiliary classifiers.

    Args:
        name: as for `load_reference_weights`.
        state_dict: likewise.

    Raises:
        WeightsError: as for `load_reference_weights`.
        ValueError: likewise.
    """
    state = load_reference_weights(name, state_dict).state_dict()
    kept = {key: tensor for key, tensor in state.items() if not key.startswith("body.aux")}
    return int(kept["body.classifier.bias"].shape[0]), kept


def published_weights(state_dict: Mapping[str, Tensor]) -> tuple[Graph, dict[str, Tensor]]:
    """Return a published checkpoint as weights of the architecture that a search starts from, with its graph.

    The network is recognised by the names of its parameters. Those of auxiliary classifiers, and of layers that the
    architecture lacks, are left out, and what the checkpoint lacks is freshly initialised.

    Raises:
        WeightsError: no published network with an architecture has such parameters.
    """
    names = [name for name in LAYOUTS if name in ARCHITECTURES]
    for name in names:
        try:
            network = load_reference_weights(name, state_dict)
        except WeightsError:
            continue
        classes = int(network.state_dict()["body.classifier.bias"].shape[0])
        graph = lower(ARCHITECTURES[name](REFERENCES[name]().input, classes))
        state = build(graph).state_dict()
        ours, theirs = ([key for key in each if ".head." not in key] for each in (state, network.state_dict()))
        # Both list their layers in one order.
        for key, published in zip(ours, theirs, strict=False):
            if state[key].shape != network.state_dict()[published].shape:
                break
            state[key] = network.state_dict()[published]
        return graph, state
    raise WeightsError(f"parameters must have the names of {', '.join(names)}, got {_some(state_dict)}")


def _renamed(key: str, table: Mapping[str, str]) -> str:
    """Return a parameter's name translated by a table of modules; a bare parameter is in the table itself."""
    if key in table:
        return f"body.{table[key]}"
    module, _, leaf = key.rpartition(".")
    if module not in table:
        raise WeightsError(f"a checkpoint must have parameters of its network alone, got also {key}")
    return f"body.{table[module]}.{leaf}"


def _reference(name: str, ours: Mapping[str, tuple[str, Tensor]]) -> Graph:
    """Return the reference with the checkpoint's classes, and with auxiliary classifiers if it has them."""
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
    """Raise WeightsError for a parameter too many or missing; only old checkpoints' missing batch counters pass."""
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


def transfer(network: Network, rewritten: Rewritten) -> Network:
    """Return the rewritten network with the weights of the original; new and resized layers are freshly initialised.

    After `merge` and `fold` the outputs are those of `network`, for `fold` in evaluation mode.

    Args:
        network: the built network that was rewritten.
        rewritten: result of `rewrite` on its graph.

    Raises:
        WeightsError: the network was not built from the graph that was rewritten.
    """
    old = network.state_dict()
    after = build(rewritten.graph)
    state = after.state_dict()
    eps = {name: module.eps for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for path, source in rewritten.sources.items():
        parts = [_leaf_state(old, path_before) for path_before in source.paths]
        norm = f"{below('body', source.paths[0])}.norm"
        transferred = _folded(parts[0], eps[norm]) if source.how == "fold" else _joined(parts)
        for name, tensor in transferred.items():
            key = f"{below('body', path)}.{name}"
            if key in state and state[key].shape == tensor.shape:
                state[key] = tensor
            elif rewritten.keeps_outputs:
                raise WeightsError(f"a network must be the one that was rewritten, its {key} does not fit")
    after.load_state_dict(state)
    like = next(iter(old.values()))
    return after.to(like.device).train(network.training)


def _leaf_state(state: Mapping[str, Tensor], path: str) -> dict[str, Tensor]:
    """Return the parameters and statistics of one leaf; none for a leaf without any."""
    prefix = f"{below('body', path)}."
    return {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}


def _joined(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the state of leaves concatenated along the output channels; they share the count of seen batches."""
    if len(parts) == 1:
        return parts[0]
    return {
        name: torch.cat([part[name] for part in parts]) if tensor.dim() else tensor for name, tensor in parts[0].items()
    }


def _folded(part: Mapping[str, Tensor], eps: float) -> dict[str, Tensor]:
    """Return filters and bias of a convolution equal to it and its batch norm.

    With scale g, shift b, mean m and variance v, computed in double precision: filters w·g/√(v+eps), bias
    (c−m)·g/√(v+eps)+b, where c is the convolution's own bias or 0.
    """
    exact = {name: tensor.double() for name, tensor in part.items()}
    gain = exact["norm.weight"] / (exact["norm.running_var"] + eps).sqrt()  # (channels,)
    shift = exact.get("conv.bias", torch.zeros_like(gain)) - exact["norm.running_mean"]
    weight = exact["conv.weight"] * gain.reshape(-1, 1, 1, 1)  # (out, in / groups, h, w)
    like = part["conv.weight"].dtype
    return {"conv.weight": weight.to(like), "conv.bias": (shift * gain + exact["norm.bias"]).to(like)}
