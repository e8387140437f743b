"""Results of commands on a study, recorded beside its search: retrained networks, exports, the report."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from typing import Any

from nas.config.tracking import TrackingSpec
from nas.study.study import Study
from nas.study.trial import Record
from nas.tracking.rows import described

ROOM = "nas.tracking"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """Result of a command, for one network or for the study.

    Attributes:
        name: name of the result within the command, such as `17`.
        network: what is known of the network before a training, with its trial's number; empty for the study.
        summary: values by name.
        rows: rows of values by name, such as one for each seed.
        files: paths of files by the names that they get.
    """

    name: str
    network: Mapping[str, Any] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    files: Mapping[str, str] = field(default_factory=dict)


def network_of(record: Record) -> dict[str, Any]:
    """Return what is known of a trial's network before a training, with the trial's number."""
    return {"trial": record.number, **described(record.candidate)}


def tracking_of(study: Study) -> TrackingSpec:
    """Return the tracker of a study's latest search; `none` if it is not known.

    Raises:
        ValueError: the stored settings are damaged.
    """
    stored = (study.attribute("config") or {}).get("tracking")
    if not isinstance(stored, Mapping):
        return TrackingSpec(name="none")
    try:
        return TrackingSpec(**stored)
    except TypeError as error:
        raise ValueError(f"tracking of {study.name} must have the settings of a tracker: {error}") from error


def part_of(spec: TrackingSpec, attribute: str) -> Any:
    """Return a function of the module of one of our trackers; None if it has none, as a tracker of your own."""
    return getattr(import_module(f"{ROOM}.{spec.name}"), attribute, None) if spec.name.isidentifier() else None


def record_results(study: Study, command: str, results: Sequence[Result], *, upload: bool = True) -> None:
    """Record the results of a command by the tracker of the study's search; a failure is logged.

    Args:
        study: the study.
        command: name of the command, the job type of the records.
        results: the results.
        upload: whether the tracker may upload them, and says where they are.
    """
    try:
        spec = tracking_of(study)
        recording_of = part_of(spec, "recording")
        if recording_of is None or not results:
            return
        recording = recording_of(spec, study)
        if not upload:
            recording = replace(recording, report=lambda _: None)
        process = recording.process()
    except (OSError, ValueError) as error:
        log.warning("the tracker does not get the results of nas %s: %s", command, error)
        return
    settings = {"study": study.name, "folder": str(study.folder.resolve()), "upload": upload and not study.is_driven()}
    process.send(
        kind="results", command=command, results=[asdict(result) for result in results], **settings, **recording.start
    )
    recording.close(process)
