"""URL of the database, read from the environment alone and never shown with its password."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

VARIABLE = "NAS_STORAGE_URL"
DRIVER = "postgresql+psycopg"
SCHEMES = ("postgresql", "postgres", DRIVER)
FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"

_SOCKET_OPTIONS = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""libpq's parameters, in seconds but the last in ms: a lost peer is noticed within a minute instead of hours."""


def database_url(environ: Mapping[str, str] = os.environ) -> URL:
    """Return the URL in the environment, for SQLAlchemy's psycopg driver.

    An error shows nothing of the URL but its scheme: with a character of the password that should have been escaped,
    any other part may hold a piece of the password.

    Raises:
        ValueError: the variable is not set, or is no URL of a PostgreSQL database.
    """
    text = environ.get(VARIABLE, "").strip()
    if not text:
        raise ValueError(f"storage=postgres takes the database's URL from the environment: set {VARIABLE}={FORM}")
    scheme = text.partition("://")[0] if "://" in text else ""
    if scheme not in SCHEMES:
        found = f"one that begins with {scheme}://" if re.fullmatch(r"[a-z0-9+]{1,20}", scheme) else "something else"
        raise ValueError(f"{VARIABLE} must read {FORM}, got {found}")
    try:
        url = make_url(text).set(drivername=DRIVER)
    except (ArgumentError, ValueError):
        raise ValueError(f"{VARIABLE} must read {FORM}, with a number as its port: it does not") from None
    if text.count("@") > 1:
        raise ValueError(f"{VARIABLE} must read {FORM}, an @ in the password written as %40: there is one @ too many")
    if not url.database:
        raise ValueError(f"{VARIABLE} must read {FORM}, it names no database")
    return url


def connection_parameters(url: URL) -> dict[str, Any]:
    """Return psycopg's keyword arguments for a connection to `url`."""
    dialect: Any = url.get_dialect()
    _, found = dialect(dbapi=dialect.import_dbapi()).create_connect_args(url)
    return {**_SOCKET_OPTIONS, "application_name": "nas", **found}


def host_and_database(url: URL) -> str:
    """Return host and database of a URL, the only parts that are ever shown.

    >>> host_and_database(make_url("postgresql://anna:secret@db.lab:5433/nas?sslmode=require"))
    'db.lab:5433/nas'
    """
    host = url.host or "the local server"
    return f"{host}{'' if url.port is None else f':{url.port}'}/{url.database}"


def redact_password(text: str, url: URL) -> str:
    """Return a server's message with every form of the password replaced."""
    secrets = {str(secret) for secret in (url.password, url.query.get("password")) if secret}
    for secret in sorted(secrets | {quote(secret, safe="") for secret in secrets}, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
