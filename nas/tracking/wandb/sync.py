"""Upload of a study's W&B runs after its search, when a person asks for it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from nas.config.tracking import TrackingSpec
from nas.study.study import Study
from nas.tracking.wandb.mode import has_key
from nas.tracking.wandb.run_folders import remove_empty, run_files
from nas.tracking.wandb.tracker import FOLDER, home, recording
from nas.tracking.wandb.upload import LOG_FILE, Uploader, unsynced

REPORT = "report"
COLLECTION = re.compile(r"wandb-registry-[^/\s]+/[^/\s]+")
PROGRAM = (sys.executable, "-P", "-m", "nas.tracking.wandb.registry")
LINKING_SECONDS = 120.0
LONGEST = 24 * 3600.0
"""Seconds of the longest upload to a server that answers."""


def is_sent(study: Study) -> bool:
    """Return whether a study has runs and all of them are uploaded."""
    folder = study.folder / FOLDER
    return bool(run_files(folder)) and not unsynced(folder)


def sync(study: Study, spec: TrackingSpec, seconds: float, attach: Callable[[], None]) -> Mapping[str, Any]:
    """Upload all runs of a study that are not uploaded yet, in order; return their folders and the study's address.

    Args:
        study: the study.
        spec: the tracker of its search.
        seconds: longest wait for a server that does not answer.
        attach: records the report; called if anything was recorded since the last one.

    Raises:
        ValueError: there is nothing to upload to or from, or the server did not take everything.
    """
    if not has_key(os.environ, home() or study.folder):
        raise ValueError("nas sync needs a key of W&B, none is configured: wandb login, or WANDB_API_KEY")
    folder = study.folder / FOLDER
    remove_empty(folder)
    if not run_files(folder):
        raise ValueError(f"nas sync needs runs to upload, {folder} has none")
    place = recording(spec, study)
    identity = place.start["id"]
    of_study = [file.parent for file in run_files(folder, identity)] or [run_files(folder)[-1].parent]
    uploader = Uploader(folder, of_study[-1], place.variables())
    if run_files(folder)[-1] not in run_files(folder, f"{identity}-{REPORT}"):  # the newest, by the time in its name
        attach()
    before = unsynced(folder)
    uploader.finish(seconds, LONGEST)
    left = unsynced(folder)
    if left:
        raise ValueError(
            f"the server of W&B must take every run, {len(left)} of {len(before)} are left: see {folder / LOG_FILE}; "
            "the same command goes on"
        )
    return {"url": uploader.url(identity), "sent": [path.name for path in before]}


def link(study: Study, spec: TrackingSpec, registry: str) -> list[str]:
    """Link best and knee, as they were uploaded last, in the model registry; return the names of their artifacts.

    Args:
        study: the study.
        spec: the tracker of its search.
        registry: path of a collection, `wandb-registry-NAME/COLLECTION`.

    Raises:
        ValueError: the path is of another form, or the server refuses.
    """
    if not COLLECTION.fullmatch(registry):
        raise ValueError(f"registry must be of the form wandb-registry-NAME/COLLECTION, got {registry!r}")
    place = recording(spec, study)
    project = "/".join(filter(None, [spec.entity, spec.project]))
    names = {role: f"{project}/{place.start['id']}-{role}:latest" for role in ("best", "knee")}
    words = [*PROGRAM, registry, *(f"{role}={name}" for role, name in names.items())]
    try:
        ended = subprocess.run(
            words, env=place.variables(), capture_output=True, text=True, check=False, timeout=LINKING_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"the server of W&B must answer within {LINKING_SECONDS:g} s, it does not") from error
    if ended.returncode != 0:
        last = (ended.stderr.strip().splitlines() or ["no reason"])[-1]
        raise ValueError(f"the registry of W&B must take {' and '.join(names.values())}: {last}")
    return list(names.values())
