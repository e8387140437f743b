"""Whether a set is held on the device or streamed there: decided by its size, and said."""

from __future__ import annotations

import logging
import math
from dataclasses import replace

from nas.config.data import ALWAYS, AUTO, NEVER, DataSpec
from nas.data.images import DataInfo

log = logging.getLogger(__name__)

SHARE = 4
"""A set may take one part in so many of the memory that a training has."""


def settle(spec: DataSpec, info: DataInfo, memory: int, threads: int) -> DataSpec:
    """The spec with `streaming` and `decode_workers` settled; says in one log line which, and why.

    Args:
        spec: the data.
        info: what `describe` says of them.
        memory: bytes that one training may take.
        threads: that it may read and decode with, where the spec doesn't say.
    """
    count = info.train + info.validation
    size, limit = count * math.prod(info.shape), memory // SHARE
    streaming = spec.streaming if spec.streaming != AUTO else (ALWAYS if size > limit else NEVER)
    settled = replace(spec, streaming=streaming, decode_workers=spec.decode_workers or threads)
    channels, height, width = info.shape
    log.info(
        "data: %s images of %d x %d x %d are %s decoded; a training holds up to %s (a quarter of its memory); %s",
        f"{count:,}",
        channels,
        height,
        width,
        readable(size),
        readable(limit),
        _choice(settled, info, asked=spec.streaming != AUTO),
    )
    return settled


def _choice(settled: DataSpec, info: DataInfo, *, asked: bool) -> str:
    why = f" (data.streaming={settled.streaming})" if asked else ""
    if settled.streaming == NEVER:
        return f"held{why}"
    threads = f"{settled.decode_workers} thread{'' if settled.decode_workers == 1 else 's'} a training"
    how = "read from" if info.decoded else "decoded anew in every epoch, as listed in"
    return f"streamed{why}, {how} {info.folder} by {threads}"


def readable(size: int) -> str:
    """Bytes with a unit of their size.

    >>> readable(92032), readable(3 * 2**30)
    ('0.1 MiB', '3.0 GiB')
    """
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
