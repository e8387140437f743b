"""Evaluation of a network that goes on training, with its batch norms folded into the convolutions before them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast, final

import torch
from torch import Tensor, nn

from nas.training.max_pooling import SeparableMaxPool


@final
class FoldedNetwork:
    """Network in evaluation mode whose convolutions hold the batch norms that follow them in an `nn.Sequential`.

    On a CPU, max pooling is replaced by one that is faster without gradients.
    All else is shared with the network itself: its parameters and buffers are read where they are. Logits are those of
    the network in evaluation mode within the rounding of floats. It is no module, so that a module which holds it has
    no further parameters.
    """

    def __init__(self, network: nn.Module) -> None:
        """Fold a network that is on its device already."""
        shared = (*network.parameters(), *network.buffers())
        with torch.inference_mode(False), torch.no_grad():
            self._twin = copy.deepcopy(network, {id(tensor): tensor for tensor in shared}).eval()
            _share(network, self._twin)
            self._folds = [_Fold(unit, before, after) for unit, before, after in list(_foldable(self._twin))]
            if all(tensor.device.type == "cpu" for tensor in shared):
                _replace_pools(self._twin)
        self.refresh()

    @property
    def count(self) -> int:
        """Number of batch norms that are folded."""
        return len(self._folds)

    def refresh(self) -> None:
        """Fold the present weights and running statistics."""
        with torch.inference_mode(False), torch.no_grad():
            if self._folds:
                _refresh(self._folds)

    def __call__(self, images: Tensor) -> Any:
        """Return the network's output in evaluation mode, with the weights of the last `refresh`."""
        return self._twin(images)


class _Fold:
    """Convolution and batch norm of a unit, and the convolution that stands for both.

    The first two have the parameters and buffers of the network in training.
    """

    def __init__(self, unit: nn.Sequential, before: str, after: str) -> None:
        conv, norm = cast(nn.Conv2d, unit._modules[before]), cast(nn.BatchNorm2d, unit._modules[after])
        made = copy.deepcopy(conv)
        made.weight = nn.Parameter(torch.empty_like(conv.weight), requires_grad=False)
        made.bias = nn.Parameter(torch.empty_like(norm.bias), requires_grad=False)
        self.conv = conv
        self.norm: Any = norm  # to the type checker, its statistics and a convolution's bias may be None
        self.made: Any = made
        unit._modules[before] = made
        del unit._modules[after]


def _refresh(folds: list[_Fold]) -> None:
    """Compute filters w·g and biases β + (b - μ)·g with the gain g = γ / sqrt(σ² + ε), all gains at once."""
    norms = [fold.norm for fold in folds]
    eps = torch.cat([norm.running_var.new_full((norm.num_features,), norm.eps) for norm in norms])
    gains = torch.cat([norm.running_var for norm in norms]).add_(eps).rsqrt_()
    gains *= torch.cat([norm.weight for norm in norms])
    shifts = torch.cat([norm.bias for norm in norms])
    shifts -= gains * torch.cat([norm.running_mean for norm in norms])
    sizes = [norm.num_features for norm in norms]
    for fold, gain, shift in zip(folds, torch.split(gains, sizes), torch.split(shifts, sizes), strict=True):
        torch.mul(fold.conv.weight, gain.view(-1, 1, 1, 1), out=fold.made.weight)
        if fold.conv.bias is not None:
            shift.addcmul_(fold.conv.bias, gain)
    torch._foreach_copy_([fold.made.bias for fold in folds], list(torch.split(shifts, sizes)))


def _share(network: nn.Module, twin: nn.Module) -> None:
    """Let a copy read the tensors of its original, also if these are replaced."""
    for original, copied in zip(network.modules(), twin.modules(), strict=True):
        copied._parameters, copied._buffers = original._parameters, original._buffers


def _replace_pools(network: nn.Module) -> None:
    for parent in list(network.modules()):
        for name, module in parent.named_children():
            if SeparableMaxPool.can_replace(module):
                parent._modules[name] = SeparableMaxPool(cast(nn.MaxPool2d, module))


def _foldable(network: nn.Module) -> Iterator[tuple[nn.Sequential, str, str]]:
    """Yield the sequences with a convolution right before a batch norm, and the names of the two."""
    for module in network.modules():
        if type(module) is not nn.Sequential:
            continue
        for (before, conv), (after, norm) in pairwise(module.named_children()):
            if type(conv) is nn.Conv2d and _is_fixed(norm):
                yield module, before, after


def _is_fixed(norm: nn.Module) -> bool:
    """Return whether a module is a batch norm that is the same function for every batch in evaluation mode."""
    return type(norm) is nn.BatchNorm2d and norm.affine and norm.track_running_stats
