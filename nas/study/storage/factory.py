"""Construction of a study's store from the kind of its database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nas.study.folders import check_links
from nas.study.storage.folder_lock import FolderLock
from nas.study.storage.folder_owner import STUDY_FILE
from nas.study.storage.sqlite import SqliteStore
from nas.study.storage.store import Store

MISSING = "psycopg must be installed for storage=postgres: pip install 'inception-nas[postgres]'"


def make_store(folder: Path, kind: str, *, reading: bool = False) -> Store:
    """Return the store of a folder's study; it connects to nothing yet.

    Args:
        folder: of the study.
        kind: `sqlite` or `postgres`.
        reading: whether the store is for reading alone.

    Raises:
        ValueError: another kind, or PostgreSQL without its extra or without a URL in the environment.
    """
    if kind == "sqlite":
        return SqliteStore(folder, reading=reading)
    if kind != "postgres":
        raise ValueError(f"a store must be sqlite or postgres, got {kind!r}")
    try:
        from nas.study.storage.postgres import PostgresStore  # noqa: PLC0415 - of an extra
    except ImportError as error:
        raise ValueError(f"{MISSING} ({error})") from error
    return PostgresStore(folder)


def study_names(outputs: str, kind: str) -> list[str]:
    """Return the names of all studies, in files the one that was written to last first.

    Args:
        outputs: folder of the studies.
        kind: `sqlite` for those in the folder, `postgres` for those of the database in the environment.

    Raises:
        ValueError: as `make_store` does.
        StorageError: the database can't be reached.
    """
    root = Path(outputs).expanduser()
    if kind == "sqlite":
        files = [folder / STUDY_FILE for folder in root.iterdir()] if root.is_dir() else []
        found = [(file.stat().st_mtime, file.parent.name) for file in files if file.is_file()]
        return [name for _, name in sorted(found, reverse=True)]
    store: Any = make_store(root / "any", kind, reading=True)
    return [name for name, made_by_search in store.retry(store.studies).items() if made_by_search]


@contextmanager
def locked_store(folder: Path, kind: str) -> Iterator[Store]:
    """Yield the store of a folder's study while this process is its one driver.

    Args:
        folder: of the study, made if it does not exist.
        kind: `sqlite` or `postgres`.

    Raises:
        StudyLockedError: another process drives it; the message names it.
        LinkError: a link in the folder leads out of it.
    """
    store = make_store(folder, kind)
    try:
        store.acquire_lock()
        folder.mkdir(parents=True, exist_ok=True)  # not before: a mistake leaves no folder behind
        check_links(folder)
        with FolderLock(folder):
            yield store
    finally:
        store.release_lock()
