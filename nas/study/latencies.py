"""Measured latencies of a study's networks: one JSON file a device and circumstances, in the folder of the study."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from nas.jobs.files import read_json, write_json
from nas.jobs.links import refuse_links
from search_space.limits import LONGEST_NAME

FOLDER = "latency"
LARGEST_FILE = 2**24
"""Most bytes of a file of latencies."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Latency:
    """Measured latency of one network, in milliseconds.

    Attributes:
        median_ms: median.
        low_ms: lower end of its 95 % interval.
        high_ms: upper end.
        steady: whether the machine did nothing else.

    Raises:
        ValueError: times that are not positive or out of order.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    steady: bool

    def __post_init__(self) -> None:
        if not (0 < self.low_ms <= self.median_ms <= self.high_ms and math.isfinite(self.high_ms)):
            raise ValueError(f"a latency must lie in its interval, got {self.low_ms}, {self.median_ms}, {self.high_ms}")


@dataclass(frozen=True)
class MeasuredOn:
    """Latencies of a study's networks on one device in the same circumstances.

    Attributes:
        device: description of the device, text by name.
        circumstances: runtime, batch, threads, precision and device.
        networks: latencies by `network_id`.
    """

    device: Mapping[str, str]
    circumstances: Mapping[str, Any]
    networks: Mapping[str, Latency]

    @property
    def key(self) -> str:
        """Short hash of device and circumstances."""
        text = json.dumps([dict(self.device), dict(self.circumstances)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def title(self) -> str:
        """Line about device and circumstances, such as `onnxruntime, batch 8, 2 threads on a processor`."""
        runtime, batch, threads = (self.circumstances.get(name, "?") for name in ("runtime", "batch", "threads"))
        plain = (str(batch), str(threads)) == ("1", "1")
        many = "" if plain else f", batch {batch}, {threads} thread{'' if str(threads) == '1' else 's'}"
        return _printable(f"{runtime}{many} on {self.device.get('model', 'unknown')}")


def keep(folder: Path, measured: MeasuredOn) -> Path:
    """Write latencies beside those that the study has of this device and circumstances, and return the file.

    Args:
        folder: of the study.
        measured: the latencies; newer ones replace older ones of the same networks.

    Raises:
        LinkError: the file is a link.
    """
    path = folder / FOLDER / f"{measured.key}.json"
    refuse_links(folder, path)
    path.parent.mkdir(exist_ok=True)
    before = _read(path)
    merged = replace(measured, networks={**(before.networks if before else {}), **measured.networks})
    write_json(path, asdict(merged))
    return path


def measured_latencies(folder: Path) -> list[MeasuredOn]:
    """Return the latencies of a study by device and circumstances; a damaged file is named in the log and left out."""
    if not (folder / FOLDER).is_dir() or (folder / FOLDER).is_symlink():
        return []
    found = [_read(path) for path in sorted((folder / FOLDER).glob("*.json"))]
    return [measured for measured in found if measured is not None]


def _read(path: Path) -> MeasuredOn | None:
    try:
        if path.is_symlink() or not path.is_file():
            return None
        document = _content(path)
        networks = {str(name): _latency(found) for name, found in document["networks"].items()}
        device = {str(name): str(text) for name, text in document["device"].items()}
        return MeasuredOn(device, dict(document["circumstances"]), networks)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        log.warning("measured latencies are left out: %s: %s", path, error)
        return None


def _content(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"it has more than {LARGEST_FILE} bytes")
    return read_json(path) or {}


def _latency(found: Mapping[str, Any]) -> Latency:
    median, low, high = (float(found[name]) for name in ("median_ms", "low_ms", "high_ms"))
    return Latency(median, low, high, found["steady"] is True)


def _printable(text: str) -> str:
    return "".join(sign for sign in text if sign.isprintable())[:LONGEST_NAME]
