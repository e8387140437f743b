"""Live progress of a running search: a small file in the study's folder, for readers that follow it.

It is never the truth, which the study alone holds: it is missing where the study's folder is on another machine, and it
is left behind by a search that was killed. A reader takes it only while the study is driven, and does without it
otherwise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nas.jobs.files import read_json
from nas.study.progress import Progress, Running
from nas.study.trial import Record

LIVE_FILE = "live.json"
FORMAT = 1
CURVES = ("val_accuracy", "val_loss", "train_loss")
MOST_BYTES = 16 * 2**20


def live_document(progress: Progress, now: float) -> dict[str, Any]:
    """Return the progress of a search as a JSON object.

    Args:
        progress: the progress.
        now: seconds since 1970.
    """
    return {
        "format": FORMAT,
        "time": round(now, 3),
        "clock_seconds": round(progress.clock_seconds, 3),
        "seconds_left": None if progress.seconds_left is None else round(progress.seconds_left, 3),
        "share_done": None if progress.share_done is None else round(progress.share_done, 6),
        "stopping": progress.stopping,
        "counts": dict(progress.counts),
        "hypervolume": progress.hypervolume,
        "best": network_document(progress.best),
        "knee": network_document(progress.knee),
        "running": [_running(job) for job in progress.running],
    }


def read_live(folder: Path) -> dict[str, Any] | None:
    """Return the live progress in a study's folder, None if there is none of this format.

    Whether the search still runs is for the study to say.
    """
    path = folder / LIVE_FILE
    with suppress(OSError, ValueError):
        if path.is_symlink() or path.stat().st_size > MOST_BYTES:
            return None
        document = read_json(path)
        json.dumps(document, allow_nan=False)  # raises for what a browser can't parse
        if document is not None and document.get("format") == FORMAT and isinstance(document.get("running"), list):
            return document
    return None


def network_document(record: Record | None) -> dict[str, Any] | None:
    """Return the number, the values and the architecture of a trial as a JSON object, None for none."""
    if record is None:
        return None
    values: Mapping[str, float] = record.values or {}
    return {"trial": record.number, "values": dict(values), "summary": record.candidate.summary}


def _running(job: Running) -> dict[str, Any]:
    return {
        "slot": job.slot,
        "trial": job.trial,
        "epoch": job.epoch,
        "to_epoch": job.to_epoch,
        "epochs": job.epochs,
        "summary": job.summary,
        "curve": {name: [_finite(getattr(row, name)) for row in job.curve] for name in CURVES},
    }


def _finite(value: float | None) -> float | None:
    """Return a number with 6 significant digits; None if it is not finite, which JSON lacks."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
