"""Definition of one cost, and the network that it is measured on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from search_space import cost as exact
from search_space.architecture import Architecture
from search_space.graph import Graph
from search_space.lowering import lower
from search_space.space import Space

NAME = re.compile(r"[a-z][a-z0-9_]*")


@final
class Measurable:
    """Network as cost functions see it; its graph and its exact sums are computed when first read."""

    def __init__(
        self, architecture: Architecture | None = None, *, graph: Graph | None = None, totals: exact.Cost | None = None
    ) -> None:
        """Take an architecture or a graph, with the sums over the graph if they are known.

        Args:
            architecture: a normalised architecture; needed if there is no graph.
            graph: the graph that it lowers to, or one that no architecture makes.
            totals: exact sums over that graph.
        """
        assert architecture is not None or graph is not None, "a network needs an architecture or a graph"
        self.architecture = architecture
        if graph is not None:
            self.__dict__["graph"] = graph
        if totals is not None:
            self.__dict__["totals"] = totals

    @cached_property
    def graph(self) -> Graph:
        """Graph of the network, of the algebra in `search_space.graph`."""
        assert self.architecture is not None
        return lower(self.architecture)

    @cached_property
    def totals(self) -> exact.Cost:
        """Exact parameters, MACs and activation memory."""
        return exact.cost(self.graph)


@final
@dataclass(frozen=True)
class Cost:
    """One cost of a network.

    Attributes:
        name: its name in documents, limits (`limits.max_<name>`), tables and objectives.
        title: its name in text and pictures, without the unit.
        measure: returns the exact cost of a network, which is positive.
        unit: its unit, empty for a count.
        description: one phrase for help texts.
        heading: heading of a table's column; empty for title and unit.
        integer: whether it is a whole number.
        place: position in tables and documents, ascending; ours are 1 to 4.
        prepare: returns this cost for a space with the options of its objective, such as the latency on one device;
            None for a cost that depends on the network alone. A cost with it is computed only where an objective or
            a limit names it.
        extrapolated: returns whether a network is outside the range of the fit of the cost's model; None for never.
        origin: hash of what else a prepared cost depends on, which stands in the study's fingerprint; empty if nothing.

    Raises:
        ValueError: a name that can't stand in `limits.max_<name>`.
    """

    name: str
    title: str
    measure: Callable[[Measurable], float]
    unit: str = ""
    description: str = ""
    heading: str = ""
    integer: bool = True
    place: int = 100
    prepare: Callable[[Mapping[str, Any], Space], Cost] | None = None
    extrapolated: Callable[[Measurable], bool] | None = None
    origin: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"the name of a cost must be of lower-case letters, digits and _, got {self.name!r}")

    @property
    def limit(self) -> str:
        """Name of the limit on it, under `limits`."""
        return f"max_{self.name}"

    @property
    def label(self) -> str:
        """Title with the unit in brackets, where there is a unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def column(self) -> str:
        """Heading of a table's column."""
        return self.heading or self.label
