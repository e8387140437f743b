"""Known-cost expected hypervolume improvement: optimizer, acquisition, candidates, surrogate, training time."""

from __future__ import annotations

from nas.samplers.known_cost.sampler import KnownCostSampler, make

__all__ = ["KnownCostSampler", "make"]
