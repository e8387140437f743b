"""Artifacts of a study: the architectures of its front, and its best networks with their weights."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import wandb

ARCHITECTURE = "architecture.json"


def front_artifact(run_id: str, front: Mapping[str, Any]) -> wandb.Artifact:
    """Return an artifact with the architectures of the front, a JSON file each, and the front as one document."""
    artifact = wandb.Artifact(f"front-{run_id}", type="architectures")
    documents = {f"trial-{member['trial']:05d}.json": member["architecture"] for member in front["front"]}
    for name, document in {**documents, "front.json": front}.items():
        add_document(artifact, name, document)
    return artifact


def network_artifacts(run_id: str, folder: Path, networks: Mapping[str, Mapping[str, Any]]) -> Iterator[wandb.Artifact]:
    """Yield an artifact for each network: a new version of `<run>-best`, `<run>-knee`, `<run>-trial-17`.

    Args:
        run_id: identity of the study's run.
        folder: the study's folder.
        networks: networks by role, as `nas.tracking.networks` makes them.
    """
    for role, network in networks.items():
        facts = {name: network[name] for name in ("trial", "id", "summary", "values", "costs")}
        artifact = wandb.Artifact(f"{run_id}-{role}", type="model", metadata=facts)
        add_document(artifact, ARCHITECTURE, network["architecture"])
        if network["weights"] is not None and (folder / network["weights"]).is_file():
            path = folder / network["weights"]
            artifact.add_file(str(path), name=f"checkpoint{path.suffix}")
        yield artifact


def add_document(artifact: wandb.Artifact, name: str, document: Any) -> None:
    """Add a JSON document as a file."""
    with artifact.new_file(name, mode="w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
