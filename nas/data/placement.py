"""Choice between holding an image set on the device and streaming it, by its size."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from nas.config.data import ALWAYS, AUTO, NEVER, DataSpec
from nas.data.info import DataInfo

log = logging.getLogger(__name__)

MEMORY_FRACTION = 4
"""A set may take one part in so many of a training's memory."""


def resolve_streaming(spec: DataSpec, info: DataInfo, memory: int, threads: int) -> DataSpec:
    """Return the configuration with `streaming` and `decode_workers` decided, and log the decision and its reason.

    Args:
        spec: the image set.
        info: its size, from `describe`.
        memory: bytes that one training may take.
        threads: threads of one training that read and decode, unless `spec.decode_workers` is set.
    """
    count = info.train + info.validation
    size, limit = count * math.prod(info.shape), memory // MEMORY_FRACTION
    streaming = spec.streaming if spec.streaming != AUTO else (ALWAYS if size > limit else NEVER)
    resolved = replace(spec, streaming=streaming, decode_workers=spec.decode_workers or threads)
    channels, height, width = info.shape
    log.info(
        "data: %s images of %d x %d x %d are %s decoded; a training holds up to %s (a quarter of its memory); %s",
        f"{count:,}",
        channels,
        height,
        width,
        format_bytes(size),
        format_bytes(limit),
        _decision(resolved, info, asked=spec.streaming != AUTO),
    )
    return resolved


def _decision(resolved: DataSpec, info: DataInfo, *, asked: bool) -> str:
    why = f" (data.streaming={resolved.streaming})" if asked else ""
    if resolved.streaming == NEVER:
        return f"held{why}"
    threads = f"{resolved.decode_workers} thread{'' if resolved.decode_workers == 1 else 's'} a training"
    how = "read from" if info.decoded else "decoded anew in every epoch, as listed in"
    return f"streamed{why}, {how} {info.folder} by {threads}"


def format_bytes(size: int) -> str:
    """Return a number of bytes in MiB or GiB.

    >>> format_bytes(92032), format_bytes(3 * 2**30)
    ('0.1 MiB', '3.0 GiB')
    """
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
