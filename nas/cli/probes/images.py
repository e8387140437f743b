"""Probe of the images: whether they can be read, and in which time."""

from __future__ import annotations

import time

from nas.cli.probes.finding import Finding, ok, problem, warning
from nas.data import DataError, DataSpec, describe


def probe(spec: DataSpec, *, network: bool) -> list[Finding]:
    """Return numbers, classes and shape of the images, and what is likely to spoil results.

    Args:
        spec: the images.
        network: whether a set on the Hub may be asked for.
    """
    if spec.hub is not None and not network:
        return [ok("data", f"{spec.hub} on the Hugging Face Hub, not asked for; network=true reads it")]
    began = time.perf_counter()
    try:
        info = describe(spec)
    except DataError as error:
        return [problem("data", str(error), "data=image_folder data.path=FOLDER reads your own, see docs/own_data.md")]
    lines = list(info.lines())
    text = f"{info.name}: {lines[0]}, {len(info.classes)} classes, read in {time.perf_counter() - began:.1f} s"
    spoilt = [warning("data", line, "see docs/own_data.md") for line in info.notices.warnings]
    return [ok("data", text), *spoilt]
