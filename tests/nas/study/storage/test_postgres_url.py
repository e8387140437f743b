"""The database's URL: what is taken, and that no refusal repeats a part of it."""

from __future__ import annotations

import pytest

from nas.study.storage.url import VARIABLE, connection_parameters, database_url, host_and_database, redact_password

pytest.importorskip("psycopg", reason="needs the extra: pip install 'inception-nas[postgres]'")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_way_to_write_it_leads_to_psycopg(scheme: str) -> None:
    url = database_url({VARIABLE: f" {scheme}://anna:s%40cr%2Ft@db.lab:5433/nas?sslmode=require "})
    assert url.drivername == "postgresql+psycopg"
    asked = connection_parameters(url)
    expected = {"host": "db.lab", "port": 5433, "user": "anna", "password": "s@cr/t", "dbname": "nas"}
    assert asked.items() >= (expected | {"sslmode": "require", "connect_timeout": "10"}).items()
    assert host_and_database(url) == "db.lab:5433/nas"
    assert "cr" not in repr(url)


def test_a_timeout_in_the_url_overrides_the_default() -> None:
    assert connection_parameters(
        database_url({VARIABLE: "postgresql:///nas?host=/run/db&connect_timeout=3"})
    ).items() >= ({"host": "/run/db", "dbname": "nas", "connect_timeout": "3"}.items())


@pytest.mark.parametrize("password", ["{x}", "100%", "p#x", "a?b", "c:d", "e/f"])
def test_a_password_may_have_special_characters(password: str) -> None:
    assert (
        connection_parameters(database_url({VARIABLE: f"postgresql://anna:{password}@h/nas"}))["password"] == password
    )


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", "storage=postgres takes the database's URL from the environment: set NAS_STORAGE_URL="),
        (
            "   ",
            "storage=postgres takes the database's URL from the environment: set NAS_STORAGE_URL=",
        ),
        ("hush", "NAS_STORAGE_URL must read .*, got something else"),
        ("anna:hush@db/nas", "NAS_STORAGE_URL must read .*, got something else"),
        ("hush!://db/nas", "NAS_STORAGE_URL must read .*, got something else"),
        ("mysql://anna:hush@db/nas", "NAS_STORAGE_URL must read .*, got one that begins with mysql://"),
        ("postgresql+psycopg2://anna:hush@db/nas", "got one that begins with postgresql\\+psycopg2://"),
        ("postgresql://anna:x@db:hush/nas", "with a number as its port: it does not"),
        ("postgresql://anna:x@hush@db/nas", "an @ in the password written as %40: there is one @ too many"),
        ("postgresql://anna:x@hush/y@db/nas", "an @ in the password written as %40: there is one @ too many"),
        ("postgresql://anna:x@hush?y@db/nas", "an @ in the password written as %40: there is one @ too many"),
        ("postgresql://anna:hush@db", "it names no database"),
        ("postgresql://", "it names no database"),
    ],
)
def test_another_url_is_refused_without_repeating_it(text: str, refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal) as refused:
        database_url({VARIABLE: text})
    assert "hush" not in str(refused.value)
    assert "anna" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert "\n" not in str(refused.value)


def test_a_password_in_a_message_is_replaced() -> None:
    url = database_url({VARIABLE: "postgresql://anna:h%40sh@db/nas"})
    assert redact_password("no h@sh and no h%40sh", url) == "no *** and no ***"
    asked = database_url({VARIABLE: "postgresql://db/nas?password=hush"})
    assert redact_password("no hush", asked) == "no ***"
    assert redact_password("nothing", database_url({VARIABLE: "postgresql://db/nas"})) == "nothing"
