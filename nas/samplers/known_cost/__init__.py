"""Sampler by expected hypervolume improvement with known costs: the default."""

from __future__ import annotations

from nas.samplers.known_cost.sampler import KnownCostSampler, make

__all__ = ["KnownCostSampler", "make"]
