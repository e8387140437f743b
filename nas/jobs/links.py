"""Links in the folder of a study, which may come from somebody else: nothing is written or deleted through them."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from pathlib import Path

CHECKPOINT_FILES = r"attempt\d+-epoch\d+\.(?:pt|unreadable)|\.attempt\d+-epoch\d+\.pt(?:\.\w+)?\.part"
"""Pattern of the names of checkpoints, of unreadable ones that were set aside, and of unfinished ones."""


class LinkError(ValueError):
    """A link in a study's folder that leads out of it; the message names it."""


def refuse_links(root: Path, path: Path) -> None:
    """Refuse a path that leads through a link below a folder.

    The folder itself may be reached through links. What does not exist yet is no link.

    Args:
        root: folder of a study, or another whose content belongs to one.
        path: a path in it, which is to be written to or deleted.

    Raises:
        LinkError: a part of the path below `root` is a link, or `path` does not lie in `root`.
    """
    steps = path.relative_to(root).parts if path.is_relative_to(root) else ("..",)
    if ".." in steps:
        raise LinkError(f"what a study writes must lie in its folder {root}, {path} does not")
    for step in steps:
        root /= step
        if root.is_symlink():
            raise LinkError(f"what a study writes must lie in its folder, {root} is a link: put a folder in its place")


def refuse_shared(path: Path) -> None:
    """Refuse a file that other places share: a link, or a file with several names; one that does not exist is fine.

    Raises:
        LinkError: it is a link, has another name, or is no file.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        fact = "is a link" if stat.S_ISLNK(found.st_mode) else "is no file"
        fact = "has another name elsewhere" if stat.S_ISREG(found.st_mode) else fact
        raise LinkError(f"a study must be driven in files of its own, {path} {fact}: put a copy in its place")


def open_log(path: Path, *, append: bool = True) -> int:
    """Open a log file for writing and return its descriptor; what is shared with another place is replaced.

    Args:
        path: the file; its folder exists.
        append: whether what it holds stays.
    """
    try:
        refuse_shared(path)
    except LinkError:
        path.unlink()
    kept = os.O_APPEND if append else os.O_TRUNC
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | kept, 0o644)


def remove_files(folder: Path, pattern: str) -> None:
    """Remove the files of a folder that a study wrote there; a link of such a name is removed, not what it points to.

    Args:
        folder: where to look. Nothing is removed through a link in its place, and it need not exist.
        pattern: regular expression of the whole names.
    """
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        if error.errno == errno.ELOOP:
            return
        raise
    try:
        for name in os.listdir(opened):
            if re.fullmatch(pattern, name):
                with suppress(FileNotFoundError, IsADirectoryError):  # another process may clean up at the same time
                    os.unlink(name, dir_fd=opened)
    finally:
        os.close(opened)


def stored_file(root: Path, named: str) -> Path:
    """Return the file that a stored document names relative to a study's folder.

    Raises:
        LinkError: the name is absolute, leads out of the folder, or is a link out of it.
    """
    path = root / named
    if not named or "\0" in named or Path(named).is_absolute() or ".." in Path(named).parts:
        raise LinkError(f"a stored file must lie in the study's folder {root}, got {named!r}")
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise LinkError(f"a stored file must lie in the study's folder {root}, {path} is a link out of it")
    return path
