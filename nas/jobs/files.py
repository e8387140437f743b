"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; the file written there replaces `path` at the end of the block.

    The file is on the disk before it is renamed, so that a process killed at any moment leaves the old file or the new
    one. After an error the old file stays and the temporary one is removed. The temporary name begins with a dot, ends
    in `.part` and is never used twice. A link is followed. A device or a pipe can't be replaced and is yielded itself.

    Args:
        path: the file to write; its folder exists.

    Raises:
        OSError: the file can't be written; the error names `path`.
    """
    target = path.resolve()
    if target.exists() and not target.is_file():
        yield target
        return
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except OSError as error:
        if error.filename == str(temporary):
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder in `parent` to build in, removed at the end of the block unless it was renamed.

    Args:
        parent: an existing folder, on the disk where the result will be put in place.
        prefix: begins the folder's name, which ends in `.partial`.
    """
    with tempfile.TemporaryDirectory(".partial", prefix, parent, ignore_cleanup_errors=True) as name:
        yield Path(name)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file as `atomic_path` does."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file as `atomic_path` does."""
    write_bytes(path, text.encode())


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON document, indented for people, as `atomic_path` does."""
    write_text(path, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file, None if there is no such file.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} must hold a JSON object: {error}") from error
