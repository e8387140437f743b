"""W&B runs of results: one for each retrained or exported network, and one for the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wandb

from nas.tracking.wandb.artifacts import ARCHITECTURE, add_document
from nas.tracking.wandb.keys import trial_config
from nas.tracking.wandb.run_folders import read_recorded, remove_empty, run_folders
from nas.tracking.wandb.settings import open_run

PAGE = ".html"
BY_SEED = "by_seed/"


def write_results(start: Mapping[str, Any]) -> list[Path]:
    """Record the results of a command, each in a run of its own, and return the folders of the runs.

    The same result of a later call is recorded in the same run.

    Args:
        start: the driver's start message.
    """
    remove_empty(Path(start["folder"]) / "wandb")
    return [_write(start, result) for result in start["results"]]


def _write(start: Mapping[str, Any], result: Mapping[str, Any]) -> Path:
    command, name = start["command"], result["name"]
    run_id = "-".join(filter(None, [start["id"], command, name]))
    step = read_recorded(run_folders(Path(start["folder"]) / "wandb", run_id)).steps
    config = trial_config(result["network"]) if result["network"] else {}
    title = "-".join(filter(None, [start["study"], name, command]))
    run = open_run(start, run_id, title, command, config)
    run.define_metric(f"{BY_SEED}seed", hidden=True, summary="none")
    run.define_metric(f"{BY_SEED}*", step_metric=f"{BY_SEED}seed", summary="none")  # the summary has the means
    for place, row in enumerate(result["rows"], step):
        run.log({f"{BY_SEED}{key}": value for key, value in row.items()}, step=place, commit=True)
    pages = [Path(path) for path in result["files"].values() if path.endswith(PAGE)]
    for place, page in enumerate(pages, step + len(result["rows"])):
        run.log({page.stem: wandb.Html(page, inject=False)}, step=place, commit=True)
    run.summary.update(result["summary"])
    if result["files"]:
        run.log_artifact(_artifact(run_id, result))
    run.finish()
    return Path(run.dir).parent


def _artifact(run_id: str, result: Mapping[str, Any]) -> wandb.Artifact:
    network: Mapping[str, Any] = result["network"]
    facts = {name: network[name] for name in ("trial", "id", "summary", "costs")} if network else {}
    artifact = wandb.Artifact(run_id, type="model" if network else "report", metadata={**facts, **result["summary"]})
    if network and ARCHITECTURE not in result["files"]:
        add_document(artifact, ARCHITECTURE, network["architecture"])
    for name, path in sorted(result["files"].items()):
        artifact.add_file(path, name=name)
    return artifact
