"""A real PostgreSQL for the tests that need one: a server a session, a database a test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from postgres_server import Database, Server, server_of, tools

from nas.study.storage.url import VARIABLE

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    programs = tools()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed here (Debian: apt-get install postgresql)")
    if find_spec("psycopg") is None:
        pytest.skip("needs the extra: pip install 'inception-nas[postgres]'")
    with server_of(programs) as server:
        yield server


@pytest.fixture
def database(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty database, whose URL is in the environment."""
    name = f"nas_{next(NUMBERS)}"
    postgres.sql(f"CREATE DATABASE {name}")
    url = postgres.url(name)
    monkeypatch.setenv(VARIABLE, url)
    return Database(postgres, name, url)
