"""Removal of user names and passwords from URLs, wherever a text may be kept or shown."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")


def without_credentials(text: str) -> str:
    """Return a text whose URLs have neither user name nor password, also where an @ of these is not escaped.

    >>> without_credentials("postgresql://anna:a@b@db.lab/nas and http://127.0.0.1/")
    'postgresql://db.lab/nas and http://127.0.0.1/'
    """
    return _CREDENTIALS.sub("", text)
