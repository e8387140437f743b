"""From the word for a kind of database to the place of a study in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nas.lock import StudyLock
from nas.stores.sqlite import SqliteStore
from nas.stores.store import Store


def store_of(folder: Path, kind: str) -> Store:
    """Where the study of a folder is kept.

    Args:
        folder: the study's folder.
        kind: `sqlite`.

    Raises:
        ValueError: a kind that there is not.
    """
    if kind == "sqlite":
        return SqliteStore(folder)
    raise ValueError(f"a store must be sqlite, got {kind!r}")


@contextmanager
def driving(folder: Path, kind: str) -> Iterator[Store]:
    """Where the study of a folder is kept, with this process as its one driver until the block ends.

    Raises:
        StudyHeldError: another process drives it; the message says which.
    """
    with StudyLock(folder):
        store = store_of(folder, kind)
        store.hold()
        try:
            yield store
        finally:
            store.release()
