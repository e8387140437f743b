"""Facts about a network that follow from its document alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.objectives.costs import built_in_costs
from search_space.documents import graph_of, summary_of
from search_space.identity import canonical_json, digest, network_id


def facts_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return identities, summary and costs of a network, as JSON values.

    Args:
        document: its JSON form, see `search_space.documents`.
    """
    graph = graph_of(document)
    return {
        "id": digest(canonical_json(document)),
        "network_id": network_id(graph),
        "summary": summary_of(document),
        "costs": built_in_costs().of_graph(graph),
    }
