"""From the word for a kind of database to the place of a study in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.study.lock import StudyLock
from nas.study.storage.sqlite import SqliteStore
from nas.study.storage.store import Store

MISSING = "psycopg must be installed for storage=postgres: pip install 'inception-nas[postgres]'"


def store_of(folder: Path, kind: str) -> Store:
    """Where the study of a folder is kept.

    Args:
        folder: the study's folder.
        kind: `sqlite` or `postgres`.

    Raises:
        ValueError: a kind that there is not, or PostgreSQL without its extra or without a URL in the environment.
    """
    if kind == "sqlite":
        return SqliteStore(folder)
    if kind != "postgres":
        raise ValueError(f"a store must be sqlite or postgres, got {kind!r}")
    try:
        import psycopg  # noqa: F401, PLC0415 - of an extra
    except ImportError as error:
        raise ValueError(f"{MISSING} ({error})") from error
    from nas.study.storage.postgres import PostgresStore  # noqa: PLC0415 - of an extra

    return PostgresStore(folder)


@contextmanager
def driving(folder: Path, kind: str) -> Iterator[Store]:
    """Where the study of a folder is kept, with this process as its one driver until the block ends.

    Args:
        folder: the study's folder, made where it is not there.
        kind: as for `store_of`.

    Raises:
        StudyHeldError: another process drives it; the message says which.
    """
    store = store_of(folder, kind)
    try:
        store.hold()
        folder.mkdir(parents=True, exist_ok=True)  # not before: a mistake leaves no folder behind
        with StudyLock(folder):
            yield store
    finally:
        store.release()
