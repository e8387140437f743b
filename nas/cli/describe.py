"""`nas describe`: a search space, or one network."""

from __future__ import annotations

import json
import logging
import random
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.cli.app.given import is_given
from nas.cli.common.known_latency import known_latencies
from nas.cli.common.printing import Row, print_document
from nas.config.commands import DescribeConfig
from nas.data import announce, describe
from nas.jobs.files import write_text
from nas.objectives.costs import Costs, built_in_costs
from nas.objectives.costs.macs import COST as MACS
from nas.objectives.costs.params import COST as PARAMS
from nas.objectives.limits import Limits
from nas.objectives.requirements import Requirements
from nas.objectives.values import costs_known
from nas.reports.comparison_table import comparison_table
from nas.reports.tables import architecture_table, space_table
from nas.study.architectures import TRIAL, Studies, layered_network, named_architecture
from nas.study.comparison import Subjects, comparison_document, total_line
from nas.study.summary import inherited
from search_space.architecture import Architecture
from search_space.comparison import draw_both
from search_space.cost import rows
from search_space.documents import summary_of
from search_space.drawing import draw
from search_space.eager import eager_mib, weights_mib
from search_space.graph import Graph, Shape
from search_space.identity import canonical_json, digest, network_id
from search_space.lowering import lower
from search_space.references import builder_of
from search_space.rewrite import Rewritten, rewrite
from search_space.space import Space, intent_of, parse_space

COUNTED = (
    "activations alive at once in inference, batch 1, float32, norm and activation in place; no weights, no workspaces"
)
"""Meaning of `memory_mib`, for the documents."""

EAGER_DRAWS = 200
"""Most random networks whose memory in eager PyTorch is computed."""

log = logging.getLogger(__name__)


def run(config: DescribeConfig) -> int:
    """Describe the network that is named, else the space.

    Raises:
        ValueError: an unknown architecture or reference, or invalid data or space.
    """
    pair = _pair(config)
    if pair is not None:
        return _compare(*pair, config)
    if config.architecture is not None or config.reference is not None:
        document, graph = _network(config)
        if config.rewrite is not None:
            rewritten = rewrite(graph, config.rewrite)
            document, graph = rewritten_document(document, rewritten), rewritten.graph
        if latencies := known_latencies(graph, _study_of(config)):
            document["latency"] = latencies
        if config.svg is not None:
            write_text(Path(config.svg).expanduser(), draw(graph, document["summary"]), follow_link=True)
        print_document(document, config.format, architecture_table, architecture_rows)
        return 0
    space = _space(config)
    limits = Limits(**config.limits)
    costs = costs_known(config.objective, space, limits.by_cost)
    document = space_document(space, limits, config.samples, config.seed, costs)
    print_document(document, config.format, space_table, space_rows)
    return 0


def _study_of(config: DescribeConfig) -> Path | None:
    """Return the folder of the study whose trial is named, None for another network."""
    trial = TRIAL.fullmatch(config.architecture or "")
    if trial is None or Path(config.architecture or "").expanduser().exists():
        return None
    return Studies(config.outputs, config.storage.kind).folder(trial["study"])


def _pair(config: DescribeConfig) -> tuple[str, str] | None:
    """Return the two names of networks to compare; None for one network, whose file may have a comma in its name.

    Raises:
        ValueError: more than two names, or two with a rewrite.
    """
    given = config.architecture
    if given is None or "," not in given or Path(given).expanduser().is_file():
        return None
    names = [name.strip() for name in given.split(",")]
    if len(names) != 2 or not all(names):
        raise ValueError(f"architecture must be one network, or two with a comma between them, got {given!r}")
    if config.rewrite is not None:
        raise ValueError("rewrite is of one network, got two in architecture")
    return names[0], names[1]


def _compare(first: str, second: str, config: DescribeConfig) -> int:
    """Print what differs between two networks, and draw them side by side."""
    subjects = Subjects(Studies(config.outputs, config.storage.kind))
    try:
        before, after = subjects.named(first), subjects.named(second)
        document = comparison_document(before, after)
    finally:
        subjects.close()
    if config.svg is not None:
        titles = before.name, f"{after.name}: {total_line(document)}"
        drawing = draw_both(before.architecture, after.architecture, titles)
        write_text(Path(config.svg).expanduser(), drawing, follow_link=True)
    print_document(document, config.format, comparison_table, comparison_rows)
    return 0


def comparison_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header, one row a change, and one row a cost."""
    rows: list[Row] = [["path", "before", "after"]]
    rows += [[change["path"], *(_cell(change[side]) for side in ("before", "after"))] for change in document["changes"]]
    return [*rows, *([f"costs.{name}", cost["before"], cost["after"]] for name, cost in document["costs"].items())]


def _cell(value: object) -> object:
    """Return a value as a cell: a part as JSON, none as an empty cell."""
    return json.dumps(value) if isinstance(value, Mapping) else "" if value is None else value


def _space(config: DescribeConfig) -> Space:
    """Return the space on the images that are given, or else on those that it is meant for."""
    intent = None if is_given("data") else intent_of(config.space)
    if intent is not None:
        text = f"{intent.input} images and {intent.classes:,} classes, which the space is meant for"
        log.info("costs for %s; data=... describes it for others", text)
        return parse_space(config.space, intent.input, intent.classes)
    info = describe(config.data)
    announce(info, counts=False)
    return parse_space(config.space, Shape(*info.shape), len(info.classes))


def _network(config: DescribeConfig) -> tuple[dict[str, Any], Graph]:
    """Return the document and the graph of the named network."""
    if config.architecture is not None and (layered := layered_network(config.architecture)) is not None:
        return {**identities(*layered), **costs_and_blocks(layered[1])}, layered[1]
    if config.architecture is not None:
        architecture, origin = described_architecture(config.architecture, config)
        return {**architecture_document(architecture), **origin}, lower(architecture)
    name = config.reference or ""
    graph = builder_of(name)()
    identity = network_id(graph)
    classes = graph.output.channels
    document = {
        "id": identity,
        "network_id": identity,
        "summary": f"{name} for {graph.input} images and {classes} classes",
        **costs_and_blocks(graph),
    }
    return document, graph


def identities(document: Mapping[str, Any], graph: Graph) -> dict[str, Any]:
    """Return the identities and the summary of a network that is no architecture."""
    own = digest(canonical_json(document))
    return {"id": own, "network_id": network_id(graph), "summary": summary_of(document)}


def described_architecture(name: str, config: DescribeConfig) -> tuple[Architecture, dict[str, Any]]:
    """Return the normalised architecture of a JSON file, or of a trial as `STUDY:NUMBER`, and what its weights inherit.

    Raises:
        ValueError: no such file or trial, or the file is not an architecture.
    """
    found = named_architecture(name, Studies(config.outputs, config.storage.kind))
    if found is None:
        raise ValueError(f"architecture must be a JSON file or a trial as STUDY:NUMBER, got {name!r}")
    architecture, record = found
    return architecture, {} if record is None else inherited(record)


def architecture_document(architecture: Architecture) -> dict[str, Any]:
    """Return the identities, costs and blocks of a normalised architecture."""
    known = Requirements().examine(architecture)
    return {
        "id": architecture.id,
        "network_id": known.network_id,
        "summary": known.summary,
        **costs_and_blocks(lower(architecture)),
    }


def costs_and_blocks(graph: Graph) -> dict[str, Any]:
    """Return the exact costs of a network, in total and by block."""
    return {
        "input": list(graph.input),
        "classes": graph.output.channels,
        "costs": built_in_costs().of_graph(graph),
        "memory": {"counted": COUNTED, "eager_mib": eager_mib(graph), "weights_mib": weights_mib(graph)},
        "blocks": [
            {"path": row.path, PARAMS.name: row.params, MACS.name: row.macs, "output_shape": list(row.output)}
            for row in rows(graph)
        ],
    }


def rewritten_document(before: Mapping[str, Any], rewritten: Rewritten) -> dict[str, Any]:
    """Return the document of a rewritten network, with the costs before the rewrite."""
    identity = network_id(rewritten.graph)
    new = costs_and_blocks(rewritten.graph)
    fields = {"before": rewritten.before.receptive_field, "after": rewritten.after.receptive_field}
    return {
        "id": identity,
        "network_id": identity,
        "summary": f"{before['summary']}, {rewritten.rule} at {len(rewritten.at)} places",
        **new,
        "rewrite": {
            "rule": rewritten.rule,
            "at": list(rewritten.at),
            "keeps_outputs": rewritten.keeps_outputs,
            "before": dict(before["costs"]),
            "raised": [name for name, cost in new["costs"].items() if cost > before["costs"].get(name, cost)],
            "receptive_field": {when: list(field) for when, field in fields.items()},
        },
    }


def space_document(space: Space, limits: Limits, samples: int, seed: int, costs: Costs | None = None) -> dict[str, Any]:
    """Return size and costs of a space: median and maximum over random draws, minimum over the space and the draws.

    Args:
        space: the space.
        limits: upper limits, of which the share that meets them is reported.
        samples: number of draws, at least 1.
        seed: seed of the draws.
        costs: registry of costs; None for the built-in ones.
    """
    generator, known_costs = random.Random(seed), costs or built_in_costs()
    requirements = Requirements(limits.checked(known_costs.names), costs=known_costs)
    architectures = [space.draw(generator) for _ in range(samples)]
    drawn = [requirements.examine(architecture) for architecture in architectures]
    return {
        "name": space.name,
        "size": space.size,
        "input": list(space.input),
        "classes": space.classes,
        "costs": {
            name: _spread(name, space, [known.costs[name] for known in drawn], known_costs)
            for name in known_costs.names
        },
        "memory": {"counted": COUNTED, "eager_mib": _eager(architectures)},
        "share_within_limits": sum(known.feasible for known in drawn) / samples,
        "samples": samples,
    }


def _eager(architectures: Sequence[Architecture]) -> dict[str, float]:
    """Return median and maximum of the memory in eager PyTorch over the first random draws."""
    found = [eager_mib(lower(architecture)) for architecture in architectures[:EAGER_DRAWS]]
    return {"median": statistics.median_low(found), "max": max(found)}


def _spread(name: str, space: Space, drawn: list[float], costs: Costs) -> dict[str, float]:
    cheapest = space.minimise(lambda architecture: costs.of_architecture(architecture)[name])
    return {
        "min": min(costs.of_architecture(cheapest)[name], *drawn),
        "median": statistics.median_low(drawn),
        "max": max(drawn),
    }


def architecture_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row a block."""
    header = ["path", PARAMS.name, MACS.name, "output_shape"]
    blocks = [{**block, "output_shape": "x".join(map(str, block["output_shape"]))} for block in document["blocks"]]
    return [header, *([block[name] for name in header] for block in blocks)]


def space_rows(document: Mapping[str, Any]) -> list[Row]:
    """Return the header and one row a cost."""
    header = ["min", "median", "max"]
    return [["cost", *header], *([cost, *map(spread.get, header)] for cost, spread in document["costs"].items())]
