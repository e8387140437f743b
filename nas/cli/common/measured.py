"""Networks that `nas measure` names, and the latencies that it keeps with a study."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.cli.common.studies import reading, writing_beside
from nas.config.commands import MeasureConfig
from nas.objectives.limits import Limits
from nas.study.architectures import Studies, named_architecture
from nas.study.latencies import Latency, MeasuredOn, keep
from nas.study.selection import pick_records
from search_space.architecture import Architecture
from search_space.graph import Graph
from search_space.identity import network_id
from search_space.lowering import lower, normalise
from search_space.references import builder_of


def named_networks(config: MeasureConfig) -> dict[str, Graph]:
    """Return the named networks by name, those of a study as `STUDY:17`.

    Raises:
        ValueError: there is no such network or study.
    """
    found = _of_study(config) if config.study is not None else {}
    studies = Studies(config.outputs, config.storage.kind)
    for name in _names(config.architecture):
        architecture = named_architecture(name, studies)
        if architecture is None:
            raise ValueError(f"architecture must be a JSON file or a trial as STUDY:NUMBER, got {name!r}")
        found[name] = lower(normalise(architecture[0]))
    return found | {name: builder_of(name)() for name in _names(config.reference)}


def _of_study(config: MeasureConfig) -> dict[str, Graph]:
    reader = reading(config)
    records = pick_records(reader.records, reader.study.believer, config.pick, Limits(**config.limits))
    documents = {f"{reader.study.name}:{record.number}": record.candidate.architecture for record in records}
    return {name: lower(normalise(Architecture.from_json(document))) for name, document in documents.items()}


def _names(given: str | None) -> list[str]:
    return [name.strip() for name in (given or "").split(",") if name.strip()]


def kept_with_study(
    config: MeasureConfig, document: Mapping[str, Any], identities: Mapping[str, str], circumstances: Mapping[str, Any]
) -> Path | None:
    """Write measured latencies into the folder of the study that is named, and return the file; None without a study.

    Args:
        config: configuration of the command.
        document: what the measurement found, with `machine`, `networks` and `steady`.
        identities: `network_id` of each network by its name.
        circumstances: runtime, batch, threads, precision and device.

    Raises:
        ValueError: none of the networks is of the study.
    """
    if config.study is None:
        return None
    reader = reading(config)
    known = {record.candidate.network_id for record in reader.records}
    networks = {
        identities[found["network"]]: Latency(found["median_ms"], found["low_ms"], found["high_ms"], document["steady"])
        for found in document["networks"]
        if identities[found["network"]] in known
    }
    if not networks:
        raise ValueError(f"measured networks must be of the study {reader.study.name} to be kept with it, none is")
    with writing_beside(reader.study, None, "FILE"):
        return keep(reader.study.folder, MeasuredOn(document["machine"], circumstances, networks))


def identities_of(graphs: Mapping[str, Graph]) -> dict[str, str]:
    """Return the `network_id` of each network by its name."""
    return {name: network_id(graph) for name, graph in graphs.items()}
