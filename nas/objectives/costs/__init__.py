"""Costs of a network that are known before any training: the one registry of their names, titles, units and limits.

One file a cost, which defines `COST`. A person's own cost is a `Cost` in a module of theirs, named by its dotted path
in an objective's YAML (`source: cost`, `key: my_costs.DEPTH`); `limits.max_<name>` follows from its name. A cost that
depends on more than the network, such as on a device, has `prepare`, which takes the objective's `options` and space.
"""

from __future__ import annotations

from nas.objectives.costs.cost import Cost, Measurable
from nas.objectives.costs.registry import Costs, all_costs, built_in_costs, load_cost, title_of

__all__ = ["Cost", "Costs", "Measurable", "all_costs", "built_in_costs", "load_cost", "title_of"]
