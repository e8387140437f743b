"""Graphs whose networks can be packed; the packing itself takes torch."""

from __future__ import annotations

from search_space.graph import Dropout, Graph, walk


def is_packable(graph: Graph) -> bool:
    """Return whether a member of a pack of this graph computes what it computes alone, up to the rounding of sums.

    Dropout before the global pooling draws its numbers in the order of memory, which may differ.
    """
    dropouts = (visit for visit in walk(graph, taps=True) if isinstance(visit.leaf, Dropout) and visit.leaf.rate > 0)
    return all(visit.input[1:] == (1, 1) for visit in dropouts)
