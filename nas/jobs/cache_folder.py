"""Folder of cached files of a user, also of one without a home folder, as in a container."""

from __future__ import annotations

import logging
import os
import tempfile
from functools import cache
from pathlib import Path

import platformdirs

CACHE_VARIABLE = "NAS_CACHE_DIR"
"""Environment variable that names another folder."""
NAME = "inception-nas"
PRIVATE = 0o700

log = logging.getLogger(__name__)


def cache_folder(named: str | None = None) -> Path:
    """Return the folder of cached files: the named one, else $NAS_CACHE_DIR, else the user's own.

    Args:
        named: path of a folder; None for none.

    Raises:
        ValueError: as `user_cache_folder` raises.
    """
    given = named or os.environ.get(CACHE_VARIABLE)
    return Path(given).expanduser() if given else user_cache_folder()


def user_cache_folder() -> Path:
    """Return the user's cache folder, or one among the temporary files if that can't be made or written to.

    Raises:
        ValueError: neither can.
    """
    try:
        own = platformdirs.user_cache_path(NAME)
    except RuntimeError:  # neither HOME nor an entry of the user
        own = None
    return _usable_folder(own, Path(tempfile.gettempdir()))


@cache
def _usable_folder(own: Path | None, temporary: Path) -> Path:
    """Return the folder `own` if it can be written to, else one in `temporary` that is this user's alone."""
    if own is not None and _writable(own):
        return own
    folder = temporary / f"{NAME}-{os.getuid()}"
    try:
        folder.mkdir(PRIVATE, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ValueError(f"a folder for cached files must be writable, {error}: set {CACHE_VARIABLE}") from error
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ValueError(f"a folder for cached files must be this user's alone, {folder} is not: set {CACHE_VARIABLE}")
    why = "there is no home folder" if own is None else f"{own} can't be written to"
    log.warning("cached files are kept in %s, as %s; %s names another folder", folder, why, CACHE_VARIABLE)
    return folder


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
