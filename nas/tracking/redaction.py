"""Removal of folder names and passwords from what may leave the machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from nas.jobs.credentials import without_credentials

_ABSOLUTE = re.compile(r"^(/|~|[A-Za-z]:[\\/])")


def redact(value: Any) -> Any:
    """Return a configuration without the folders of absolute paths and without credentials in URLs.

    >>> redact({"path": "/home/anna/photos", "url": "postgresql://anna:secret@db/nas", "n": 3})
    {'path': 'photos', 'url': 'postgresql://db/nas', 'n': 3}
    """
    if isinstance(value, Mapping):
        return {str(key): redact(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redact(inner) for inner in value]
    if isinstance(value, PurePath):
        return redact(str(value))
    if isinstance(value, str):
        text = without_credentials(value)
        return re.split(r"[\\/]", text.rstrip("\\/"))[-1] if _ABSOLUTE.match(text) else text
    return value
