"""Weights of pruned networks: those to remove by magnitude, masks, and the weights of a network without channels."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from search_space.cost import cost
from search_space.graph import Conv, Graph, Linear, Norm, Scale, Visit, walk
from search_space.pruning import Classes, Pruned, PruningError, channel_classes, fewest, without
from search_space.rewrite import below

FOUR, TWO = 4, 2
"""Weights of a group of 2:4 sparsity, and how many of them stay."""


def prunable(state: Mapping[str, Tensor]) -> list[str]:
    """Return the names of the weights of convolutions and dense layers in a state dict; all others stay dense."""
    return [name for name, tensor in state.items() if name.endswith("weight") and tensor.dim() > 1]


def zero_share(state: Mapping[str, Tensor]) -> float:
    """Return the share of zeros among the weights of convolutions and dense layers, in [0, 1]."""
    tensors = [state[name] for name in prunable(state)]
    return sum(int((tensor == 0).sum()) for tensor in tensors) / sum(tensor.numel() for tensor in tensors)


def magnitude_pruned(state: Mapping[str, Tensor], sparsity: float, *, per_layer: bool = False) -> dict[str, Tensor]:
    """Return a state dict with the smallest weights of convolutions and dense layers set to zero (Han et al. 2015).

    The largest weight of every filter stays, so that no layer is cut through.

    Args:
        state: the state dict, which is not changed.
        sparsity: share of those weights that become zero, in [0, 1).
        per_layer: whether each layer gets that share, instead of all of them together (arXiv:1506.02626).

    Raises:
        PruningError: more weights are to go than can.
    """
    names = prunable(state)
    parts = [[name] for name in names] if per_layer else [names]
    found = {name: tensor.clone() for name, tensor in state.items()}
    for part in parts:
        scores = [_magnitudes(state[name]) for name in part]
        flat = torch.cat([score.flatten() for score in scores])
        count = round(sparsity * len(flat))
        if per_layer:
            count = min(count, int(flat.isfinite().sum()))
        if count > int(flat.isfinite().sum()):
            most = int(flat.isfinite().sum()) / len(flat)
            raise PruningError(f"sparsity must leave every filter a weight, here at most {most:.3f}, got {sparsity}")
        gone = torch.zeros(len(flat), dtype=torch.bool)
        gone[torch.argsort(flat, stable=True)[:count]] = True
        for name, mask in zip(part, torch.split(gone, [score.numel() for score in scores]), strict=True):
            found[name][mask.reshape(found[name].shape)] = 0
    return found


def _magnitudes(weight: Tensor) -> Tensor:
    """Return absolute values (filters, weights), infinite for the largest of each filter."""
    rows = weight.detach().abs().reshape(len(weight), -1).clone()
    rows[torch.arange(len(rows)), rows.argmax(dim=1)] = math.inf
    return rows


def two_of_four(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict in which of every four weights of a filter in a row the two smallest are zero.

    Weights behind the last full four of a filter stay (arXiv:2104.08378).
    """
    found = {name: tensor.clone() for name, tensor in state.items()}
    for name in prunable(state):
        rows = found[name].reshape(len(found[name]), -1)
        whole = rows.shape[1] // FOUR * FOUR
        fours = rows[:, :whole].reshape(-1, FOUR)
        fours = fours.scatter(1, fours.abs().argsort(dim=1, stable=True)[:, : FOUR - TWO], 0.0)
        rows = torch.cat((fours.reshape(len(rows), whole), rows[:, whole:]), dim=1)
        found[name] = rows.reshape(found[name].shape)
    return found


def prune_channels(graph: Graph, state: Mapping[str, Tensor], sparsity: float, *, branches: bool = False) -> Pruned:
    """Return the network without its least important channels, or branches of concatenations.

    The importance of a class of channels is the root mean square, over its channels, of their filters' norms with the
    scales of the batch norm behind them (after Li et al. 2017, arXiv:1608.08710), each over the root mean square of its
    layer; that of a branch is the mean over the classes that it ends with, not relative to a layer.

    Args:
        graph: the network.
        state: its state dict.
        sparsity: least share of the parameters that goes, in [0, 1).
        branches: whether whole branches are removed instead of channels.

    Raises:
        PruningError: so many can't be removed.
    """
    classes = channel_classes(graph)
    importance = _importance(graph, state, classes.written, relative=not branches)
    units = list(classes.branches) if branches else [frozenset((one,)) for one in classes.removable]
    units.sort(key=lambda unit: sum(importance.get(one, math.inf) for one in unit) / len(unit))
    order = classes.order(units)
    before = cost(graph).params

    def fits(removed: frozenset[int]) -> bool:
        return cost(without(graph, removed, classes).graph).params <= (1 - sparsity) * before

    removed = fewest(order, fits)
    if removed is None:
        least = cost(without(graph, frozenset().union(*order), classes).graph).params
        what = "branches" if branches else "channels"
        raise PruningError(
            f"sparsity by {what} must leave the {least:,} of {before:,} parameters that have to stay "
            f"({1 - least / before:.3f} at most), got {sparsity}"
        )
    return without(graph, removed, classes)


def _importance(
    graph: Graph, state: Mapping[str, Tensor], written: Mapping[str, Classes], *, relative: bool
) -> dict[int, float]:
    found: dict[int, list[float]] = {}
    for visit in walk(graph):
        if not isinstance(visit.leaf, Conv):
            continue
        squares = _filter_squares(state, visit).double()
        if relative:
            squares = squares / squares.mean().clamp(min=torch.finfo(torch.float64).tiny)
        for one, square in zip(written[visit.path], squares.tolist(), strict=True):
            found.setdefault(one, []).append(square)
    return {one: math.sqrt(sum(each) / len(each)) for one, each in found.items()}


def _filter_squares(state: Mapping[str, Tensor], visit: Visit) -> Tensor:
    """Return the squared norm (outputs,) of each filter, with the scale of a batch norm behind it."""
    path = below("body", visit.path)
    squares = state[f"{path}.conv.weight"].detach().flatten(1).square().sum(dim=1)
    leaf = visit.leaf
    if isinstance(leaf, Conv) and leaf.norm is not None and leaf.norm.kind == "batch":
        gains = state[f"{path}.norm.weight"].detach().square() / (state[f"{path}.norm.running_var"] + leaf.norm.eps)
        squares = squares * gains
    return squares


def masked(graph: Graph, state: Mapping[str, Tensor], pruned: Pruned) -> dict[str, Tensor]:
    """Return a network's weights with filters, biases, scales and shifts of the removed channels set to zero."""
    found = {name: tensor.clone() for name, tensor in state.items()}
    for visit in walk(graph):
        path = below("body", visit.path)
        if isinstance(visit.leaf, Conv):
            names: tuple[str, ...] = ("conv.weight", "conv.bias", "norm.weight", "norm.bias")
            classes = pruned.classes.written[visit.path]
        elif isinstance(visit.leaf, Norm):
            names, classes = ("weight", "bias"), pruned.classes.read[visit.path]
        else:
            continue
        gone = torch.tensor([one in pruned.removed for one in classes])
        for name in (f"{path}.{name}" for name in names):
            if name in found:
                found[name][gone] = 0
    return found


def smaller_state(graph: Graph, state: Mapping[str, Tensor], pruned: Pruned) -> dict[str, Tensor]:
    """Return the weights of a network without channels, from those of the network that it was made of."""
    leaves = {visit.path: visit for visit in walk(graph)}
    found: dict[str, Tensor] = {}
    for visit in walk(pruned.graph):
        if visit.path not in pruned.origins:
            continue
        source = leaves[pruned.origins[visit.path]]
        prefix = f"{below('body', source.path)}."
        for name in [name for name in state if name.startswith(prefix)]:
            inner = name.removeprefix(prefix)
            found[f"{below('body', visit.path)}.{inner}"] = _taken(source, inner, state[name], pruned).clone()
    return found


def _taken(source: Visit, name: str, tensor: Tensor, pruned: Pruned) -> Tensor:
    """Return the part of a leaf's tensor that is left."""
    read = pruned.classes.read[source.path]
    match source.leaf:
        case Conv():
            rows = pruned.kept(pruned.classes.written[source.path])
            if name != "conv.weight":
                return tensor[rows] if tensor.dim() else tensor
            inner = len(read) // source.leaf.groups
            columns = [0] if inner == 1 else pruned.kept(read[:inner])
            return tensor[rows][:, columns]
        case Linear():
            if not name.endswith("weight"):
                return tensor
            cells = source.input.height * source.input.width
            columns = [place * cells + cell for place in pruned.kept(read) for cell in range(cells)]
            return tensor[:, columns]
        case Norm() | Scale():
            return tensor[pruned.kept(read)] if tensor.dim() else tensor
    return tensor
