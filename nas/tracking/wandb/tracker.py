"""Driver's side of W&B tracking: identity of the run, mode, environment and the lines about the end."""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from nas.config.tracking import TrackingSpec
from nas.jobs.files import write_text
from nas.jobs.links import refuse_links
from nas.study.study import Study
from nas.tracking.recording import Recording, RecordingTracker
from nas.tracking.wandb.mode import resolve_mode

FOLDER = "wandb"
RUN_FILE = "run.json"
MODULE = "nas.tracking.wandb.recorder"
NOT_INHERITED = tuple(
    f"WANDB_{name}"
    for name in (
        "MODE",
        "RUN_ID",
        "RUN_GROUP",
        "RESUME",
        "SERVICE",
        "NAME",
        "NOTES",
        "JOB_TYPE",
        "TAGS",
        "SWEEP_ID",
    )
)

log = logging.getLogger(__name__)


def make(spec: TrackingSpec, study: Study, circumstances: Mapping[str, Any]) -> RecordingTracker:
    """Return a tracker that records in Weights & Biases.

    Args:
        spec: project, mode and times.
        study: the study.
        circumstances: configuration of the W&B run, as JSON without folder names and passwords.
    """
    return RecordingTracker(spec, study, circumstances, recording(spec, study))


def recording(spec: TrackingSpec, study: Study) -> Recording:
    """Return place and settings of a study's W&B runs.

    Args:
        spec: project, mode and times.
        study: the study.
    """
    folder = study.folder / FOLDER
    for name in ("", ".data", ".cache"):
        refuse_links(study.folder, folder / name)
    folder.mkdir(exist_ok=True)
    mode = resolve_mode(spec.mode, os.environ, home() or study.folder)
    start = {
        "id": run_id(folder, study.name),
        "project": spec.project,
        "entity": spec.entity,
        "mode": mode,
        "finish_seconds": spec.finish_seconds,
    }

    def report(status: Mapping[str, Any]) -> None:
        upload = f"upload it with: nas sync {shlex.join(study.words)}"
        if status["uploaded"]:
            log.info("W&B run %s", status["url"] or folder)
        elif mode == "online":
            log.warning("W&B did not take everything in time: the run is in %s, %s", folder, upload)
        else:
            log.info("W&B run in %s, %s", folder, upload)

    return Recording("W&B", MODULE, folder, start, report, environment(folder.resolve()), spec.finish_seconds)


def home() -> Path | None:
    """Return the user's home folder, None where there is none, as in a container."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def environment(folder: Path) -> dict[str, str | None]:
    """Return what changes in the environment: all files of W&B lie in the study's folder, and nothing of its telemetry.

    Args:
        folder: W&B's folder in the study's folder.
    """
    places = {
        "WANDB_DIR": folder.parent,
        "WANDB_DATA_DIR": folder / ".data",
        "WANDB_ARTIFACT_DIR": folder / ".data",
        "WANDB_CACHE_DIR": folder / ".cache",
        **({"HOME": folder} if home() is None else {}),
    }
    own = {name: str(path) for name, path in places.items()}
    return {**dict.fromkeys(NOT_INHERITED), **own, "WANDB_ERROR_REPORTING": "false"}


def run_id(folder: Path, study: str) -> str:
    """Return the id of the study's W&B run, the same for every search of the study.

    Its random suffix distinguishes studies of the same name.

    Args:
        folder: W&B's folder in the study's folder.
        study: name of the study.
    """
    path = folder / RUN_FILE
    if path.exists():
        return cast(str, json.loads(path.read_text(encoding="utf-8"))["id"])
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", study).strip("-")[:40] or "study"
    found = f"{slug}-{secrets.token_hex(4)}"
    write_text(path, json.dumps({"id": found}) + "\n")
    return found
