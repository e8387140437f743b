"""Clipping of gradients, of one network or of each member of a pack."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from search_space.packing import apart


@torch.no_grad()
def clip_gradients(parameters: Iterable[nn.Parameter], largest: float, members: int = 1) -> None:
    """Scale gradients down to a largest norm of the whole gradient (Pascanu et al. 2013, arXiv:1211.5063).

    Args:
        parameters: of the network, or of a pack, those of its members one after another along the first dimension.
        largest: the norm, positive.
        members: number of members, each of which is clipped by the norm of its own gradient.
    """
    given = list(parameters)
    if members == 1:
        nn.utils.clip_grad_norm_(given, largest)
        return
    grads = [apart(p.grad, members) for p in given if p.grad is not None]
    each = torch.stack([grad.flatten(1).norm(dim=1) for grad in grads])  # (parameters, k)
    factors = (largest / (each.norm(dim=0) + 1e-6)).clamp(max=1.0)
    for grad in grads:
        grad.mul_(factors.view(members, *[1] * (grad.ndim - 1)))
