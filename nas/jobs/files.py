"""Files that are written whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nas.jobs.failures import exception_chain

_TOKEN_BYTES = 4
_TOKEN = r"[a-z0-9_]{8}"
"""Random part of a temporary name; letters and underscores stand in those of earlier versions."""

PART, PARTIAL = rf"{_TOKEN}\.part", rf"{_TOKEN}\.partial"
"""Patterns of the ends of the names of temporary files and folders."""


@contextmanager
def atomic_path(path: Path, *, follow_link: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; the file written there replaces `path` at the end of the block.

    The file is on the disk before it is renamed, so that a process killed at any moment leaves the old file or the new
    one. After an error the old file stays and the temporary one is removed. The temporary name begins with a dot, ends
    in `.part` and is never used twice; those that killed processes left for `path` are removed first.

    Args:
        path: the file to write; its folder exists. A link there is replaced, and what it points to is left alone.
        follow_link: write to the file that a link points to instead. A device or a pipe can't be replaced and is
            yielded itself. For a path that a person gives; what stands in a study's folder may be of somebody else.

    Raises:
        OSError: the file can't be written; the error names `path`.
    """
    target = path
    if follow_link:
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            yield target
            return
    pattern = rf"\.{re.escape(target.name)}\.{PART}"
    temporary: Path | None = None
    try:
        sweep(target.parent, pattern)
        temporary, held = _create_held(target.parent, f".{target.name}.", ".part")
        try:
            yield temporary
            _sync(temporary)
            temporary.replace(target)
        finally:
            os.close(held)
    except Exception as error:
        for link in exception_chain(error):  # torch's archive writer raises an error of its own after the system's
            _rename_in(link, pattern, path)
        raise
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


def _rename_in(error: BaseException, pattern: str, path: Path) -> None:
    """Name the file that was asked for in an error of the system that names a temporary one, or none."""
    if not isinstance(error, OSError) or error.errno is None:
        return
    name = Path(os.fsdecode(error.filename)).name if isinstance(error.filename, str | bytes) else ""
    if not name or re.fullmatch(pattern, name):
        error.filename, error.filename2 = str(path), None


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder in `parent` to build in, removed at the end of the block unless it was renamed.

    Folders of the same prefix that killed processes left are removed first.

    Args:
        parent: an existing folder, on the disk where the result will be put in place.
        prefix: begins the folder's name, which ends in `.partial`.
    """
    sweep(parent, re.escape(prefix) + PARTIAL)
    folder, held = _create_held(parent, prefix, ".partial")
    try:
        yield folder
    finally:
        os.close(held)
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path, pattern: str) -> None:
    """Remove the temporary files and folders that killed processes left in a folder.

    What a running process writes is locked and stays, and so does what can't be locked. Links are not followed.

    Args:
        folder: where to look; need not exist.
        pattern: regular expression of whole names; of names that nothing but this module gives.
    """
    with suppress(OSError):
        for name in os.listdir(folder):
            if re.fullmatch(pattern, name):
                _remove_unheld(folder / name)


def sync_files(folder: Path) -> None:
    """Wait until every file of a folder is on the disk.

    Raises:
        OSError: a file can't be written; the error names it.
    """
    for path in sorted(folder.iterdir()):
        if path.is_file():
            _sync(path)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            error.filename = str(path)
            raise


def _create_held(folder: Path, prefix: str, suffix: str) -> tuple[Path, int]:
    """Create a file or, with the suffix `.partial`, a folder, and return it with a descriptor that holds its lock."""
    while True:
        path = folder / f"{prefix}{secrets.token_hex(_TOKEN_BYTES)}{suffix}"
        if suffix == ".partial":
            path.mkdir(0o700)
            held = _open_folder(path)
            if held is None:
                continue
        else:
            held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        with suppress(OSError):  # a file system without locks: nothing is swept there
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists():
            return path, held
        os.close(held)  # another process swept it before it was locked


def _open_folder(path: Path) -> int | None:
    """Open a folder; return None if another process swept it meanwhile.

    Raises:
        FileNotFoundError: the folder that it stood in is gone too.
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise
        return None


def _remove_unheld(path: Path) -> None:
    """Remove a file or a folder unless a process holds its lock."""
    with suppress(OSError):
        kind = path.lstat().st_mode
        is_folder = stat.S_ISDIR(kind)
        if not is_folder and not stat.S_ISREG(kind):
            return
        descriptor = os.open(path, (os.O_RDONLY if is_folder else os.O_RDWR) | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path) if is_folder else path.unlink()
        finally:
            os.close(descriptor)


def write_bytes(path: Path, content: bytes, *, follow_link: bool = False) -> None:
    """Write a file as `atomic_path` does."""
    with atomic_path(path, follow_link=follow_link) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str, *, follow_link: bool = False) -> None:
    """Write a UTF-8 file as `atomic_path` does."""
    write_bytes(path, text.encode(), follow_link=follow_link)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document, indented for people, as `atomic_path` does."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file, None if there is no such file.

    Raises:
        ValueError: the file holds something else.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for without end
        raise ValueError(f"{path} must hold a JSON object: it is no file")
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} must hold a JSON object: {error}") from error
