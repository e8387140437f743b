"""Probe of the experiment tracker: its mode, and whether there is a key, which is never shown."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from nas.cli.probes.finding import Finding, ok, problem
from nas.config.tracking import TrackingSpec
from nas.jobs.credentials import without_credentials
from nas.tracking.tracker import check_tracker
from nas.tracking.wandb.mode import DEFAULT_URL, has_key, resolve_mode

LIBRARIES = {"wandb": "wandb", "mlflow": "mlflow", "tensorboard": "tensorboard"}


def probe(spec: TrackingSpec, environ: Mapping[str, str] = os.environ, home: Path | None = None) -> list[Finding]:
    """Return the tracker of a search, and whether it would send anything.

    Args:
        spec: the tracker.
        environ: the environment.
        home: the user's home folder; None for the real one.
    """
    if spec.name == "none":
        return [ok("tracker", "none")]
    library = LIBRARIES.get(spec.name)
    if library is not None and find_spec(library) is None:
        advice = f"pip install 'inception-nas[{spec.name}]', or tracking=none"
        return [problem("tracker", f"tracking={spec.name} needs {library}, which is not installed", advice)]
    check_tracker(spec)
    if spec.name == "wandb":
        return [_wandb(spec, environ, Path.home() if home is None else home)]
    place = spec.options.get("uri") if spec.name == "mlflow" else None
    return [ok("tracker", f"{spec.name}, to {without_credentials(str(place)) if place else 'the folder of the study'}")]


def _wandb(spec: TrackingSpec, environ: Mapping[str, str], home: Path) -> Finding:
    mode, key = resolve_mode(spec.mode, environ, home), has_key(environ, home)
    if mode == "offline":
        said = "a key is there" if key else "no key"
        return ok("tracker", f"W&B offline ({said}): nothing is sent; `wandb login`, then nas sync sends studies")
    if not key:
        return problem("tracker", "W&B online, but there is no key", "wandb login, or tracking.mode=offline")
    url = without_credentials(environ.get("WANDB_BASE_URL") or DEFAULT_URL)
    return ok("tracker", f"W&B online, with a key, to {url}")
