"""Packed networks: several networks of one graph as one module of grouped convolutions.

Calls of operators, not arithmetic, bound the speed of small networks, and one call over the channels of k networks
takes little longer than over those of one. Activations of a pack are (N, k·C, H, W): the channels of one member after
those of another. So a convolution of k·g groups keeps the members apart, and what works channel by channel stays as it
is. Parameters and buffers of a pack are those of its members, one after another along the first dimension.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from search_space.modules import (
    Auxiliary,
    ChannelNorm,
    ChannelScale,
    Cut,
    Dense,
    Parallel,
    Tapped,
)
from search_space.network import Network


@final
class Generators:
    """Generators of random numbers of the members of a pack; copies of a pack share them."""

    def __init__(self) -> None:
        self.each: list[torch.Generator] = []

    def __deepcopy__(self, _: object) -> Generators:
        return self


@final
class PackedNetwork(nn.Module):
    """Networks of one graph as one module, from images (N, k·C, H, W) to logits (N, k, classes).

    In training mode, networks with auxiliary heads return `(logits, [(auxiliary logits (N, k, classes), weight),
    ...])`. The members' images may differ: those of one stand after those of another along the channels. Parameter
    names are those of a member.

    Attributes:
        members: number of networks, k.
    """

    def __init__(self, networks: Sequence[Network]) -> None:
        """Pack copies of networks.

        Raises:
            ValueError: there is none, or their parameters differ in names or shapes.
        """
        super().__init__()
        states = [network.state_dict() for network in networks]
        if len({tuple((name, value.shape) for name, value in state.items()) for state in states}) != 1:
            raise ValueError(f"a pack must be of at least 1 network, all of one graph, got {len(networks)}")
        self.members = len(networks)
        self.generators = Generators()
        template = copy.deepcopy(networks[0])
        self.has_taps = template.has_taps
        self.taps: list[Auxiliary] = []
        self.body = _packed(template.body, self)
        self.to(next(networks[0].parameters()))
        self.load_state_dict(join(states))

    def seed(self, seeds: Sequence[int]) -> None:
        """Seed the random numbers of each member's dropout, on the device of the parameters.

        Generators stay the same from call to call: a CUDA graph draws from those that it was captured with.
        """
        device = next(self.parameters()).device
        if not self.generators.each or self.generators.each[0].device != device:
            self.generators.each = [torch.Generator(device) for _ in seeds]
        for generator, seed in zip(self.generators.each, seeds, strict=True):
            generator.manual_seed(seed)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, list[Auxiliary]]:
        """Return logits (N, k, classes), in training with those of the auxiliary heads if there are any."""
        self.taps.clear()
        logits = self._by_member(self.body(images))
        if self.training and self.has_taps:
            auxiliary = [(self._by_member(head), weight) for head, weight in self.taps]
            self.taps.clear()
            return logits, auxiliary
        return logits

    def _by_member(self, logits: Tensor) -> Tensor:
        return apart(logits.flatten(1), self.members, dim=1)


def join(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the state of a pack of members' states, which have the same names; counters are the first one's."""
    return {
        name: torch.cat([state[name] for state in states]) if first.ndim else first.clone()
        for name, first in states[0].items()
    }


def member(state: Mapping[str, Tensor], index: int, members: int) -> dict[str, Tensor]:
    """Return the state of one member of a pack, as views of the pack's.

    Args:
        state: of the pack.
        index: number of the member, 0-based.
        members: number of members.
    """
    return {name: apart(value, members, dim=0)[index] if value.ndim else value for name, value in state.items()}


def apart(values: Tensor, members: int, *, dim: int = 0) -> Tensor:
    """Return values of a pack with a dimension of `members` before that of one member, as a view: k·C as k, C."""
    return cast(Tensor, values.unflatten(dim, (members, -1)))  # type: ignore[no-untyped-call]  # torch's stub lacks it


def pack_images(images: Sequence[Tensor]) -> Tensor:
    """Return the members' images (N, C, H, W) as (N, k·C, H, W) in channels-last memory."""
    last = torch.cat([one.permute(0, 2, 3, 1) for one in images], dim=3)
    return last.permute(0, 3, 1, 2)


def _packed(module: nn.Module, pack: PackedNetwork) -> nn.Module:
    """Return the packed form of a member's module, with parameters of the right shapes."""
    make = _LEAVES.get(type(module))
    if make is not None:
        return make(module, pack)
    if isinstance(module, Parallel):
        return _PackedParallel([(name, _packed(child, pack)) for name, child in module.named_children()], pack.members)
    for name, child in module.named_children():
        setattr(module, name, _packed(child, pack))
    if isinstance(module, Tapped):
        module.outputs = pack.taps
    return module


def _conv(conv: Any, pack: PackedNetwork) -> nn.Module:
    k = pack.members
    return nn.Conv2d(
        k * conv.in_channels,
        k * conv.out_channels,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        groups=k * conv.groups,
        bias=conv.bias is not None,
    )


def _batch_norm(norm: Any, pack: PackedNetwork) -> nn.Module:
    return nn.BatchNorm2d(pack.members * norm.num_features, eps=norm.eps, momentum=norm.momentum)


def _scale(scale: ChannelScale, pack: PackedNetwork) -> nn.Module:
    return ChannelScale(pack.members * scale.weight.numel(), 1.0)


@final
class _PackedParallel(nn.Module):
    """Parallel branches, concatenated along the channels of each member."""

    def __init__(self, branches: Sequence[tuple[str, nn.Module]], members: int) -> None:
        super().__init__()
        self._members = members
        for name, branch in branches:
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:  # (N, k·C, H, W) -> (N, k·sum of the branches' channels, H', W')
        outputs = [branch(x) for branch in self.children()]
        if len(outputs) == 1:
            return cast(Tensor, outputs[0])
        # Channels last, in which the join is one copy.
        last = [apart(output.permute(0, 2, 3, 1), self._members, dim=3) for output in outputs]
        return torch.cat(last, dim=4).flatten(3).permute(0, 3, 1, 2)


@final
class _PackedDense(nn.Module):
    """Linear layer of each member over its flattened input, as one batched product."""

    def __init__(self, dense: Dense, members: int) -> None:
        super().__init__()
        self._members = members
        self.weight = nn.Parameter(dense.weight.detach().repeat(members, 1))  # (k·F, C)
        self.bias = None if dense.bias is None else nn.Parameter(dense.bias.detach().repeat(members))  # (k·F,)

    def forward(self, x: Tensor) -> Tensor:  # (N, k·C, H, W) -> (N, k·F, 1, 1)
        k = self._members
        inputs = apart(x, k, dim=1).flatten(2).transpose(0, 1)  # (k, N, C·H·W)
        weight = apart(self.weight, k, dim=0).transpose(1, 2)  # (k, C·H·W, F)
        if self.bias is None:
            outputs = torch.bmm(inputs, weight)
        else:
            outputs = torch.baddbmm(self.bias.view(k, 1, -1), inputs, weight)
        return outputs.transpose(0, 1).flatten(1)[:, :, None, None]


@final
class _PackedCut(nn.Module):
    """Slice of the channels of each member."""

    def __init__(self, cut: Cut, members: int) -> None:
        super().__init__()
        self._cut = cut
        self._members = members

    def forward(self, x: Tensor) -> Tensor:  # (N, k·C, H, W) -> (N, k·(stop - start), H, W)
        return apart(x, self._members, dim=1)[:, :, self._cut.start : self._cut.stop].flatten(1, 2)


@final
class _PackedChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of each member in each cell."""

    def __init__(self, norm: ChannelNorm, members: int) -> None:
        super().__init__(members * norm.normalized_shape[0], eps=norm.eps)
        self._members = members

    def forward(self, x: Tensor) -> Tensor:  # (N, k·C, H, W) -> (N, k·C, H, W)
        last = apart(x.permute(0, 2, 3, 1), self._members, dim=3)
        normed = functional.layer_norm(last, last.shape[-1:], eps=self.eps).flatten(3)
        return (normed * self.weight + self.bias).permute(0, 3, 1, 2)


@final
class _PackedResponseNorm(nn.Module):
    """Local response normalisation over the channels of each member."""

    def __init__(self, norm: nn.LocalResponseNorm, members: int) -> None:
        super().__init__()
        self._norm = norm
        self._members = members

    def forward(self, x: Tensor) -> Tensor:  # (N, k·C, H, W) -> (N, k·C, H, W)
        normed = cast(Tensor, self._norm(apart(x, self._members, dim=1).flatten(0, 1)))
        return normed.reshape(-1, self._members, *normed.shape[1:]).flatten(1, 2)


@final
class _PackedDropout(nn.Module):
    """Dropout that draws the numbers of each member from a generator of its own, as the member alone would."""

    def __init__(self, rate: float, generators: Generators) -> None:
        super().__init__()
        self._rate = rate
        self._generators = generators

    def forward(self, x: Tensor) -> Tensor:  # (N, k·C, H, W) -> (N, k·C, H, W)
        if not self.training or self._rate == 0:
            return x
        keep, generators = 1 - self._rate, self._generators.each
        masks = [torch.empty_like(part) for part in x.detach().chunk(len(generators), dim=1)]
        for mask, generator in zip(masks, generators, strict=True):
            mask.bernoulli_(keep, generator=generator)
        return x * torch.cat(masks, dim=1).div_(keep)


_LEAVES: Mapping[type[nn.Module], Callable[[Any, PackedNetwork], nn.Module]] = {
    nn.Conv2d: _conv,
    nn.BatchNorm2d: _batch_norm,
    Dense: lambda dense, pack: _PackedDense(dense, pack.members),
    Cut: lambda cut, pack: _PackedCut(cut, pack.members),
    ChannelNorm: lambda norm, pack: _PackedChannelNorm(norm, pack.members),
    ChannelScale: _scale,
    nn.LocalResponseNorm: lambda norm, pack: _PackedResponseNorm(norm, pack.members),
    nn.Dropout: lambda dropout, pack: _PackedDropout(dropout.p, pack.generators),
}
