"""Picture files below a folder, found by their names; all else that lies there is counted."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nas.data.errors import DataError

# A constant, and not asked of Pillow: that imports all of its plug-ins, in every training. A test compares the two.
_SUFFIXES = """
.apng .avif .avifs .blp .bmp .bw .cur .dcx .dds .dib .fit .fits .flc .fli .ftc .ftu .gbr .gif .icb .icns .ico .iim
.j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg .jpx .mpo .msp .pbm .pcd .pcx .pfm .pgm .png .pnm .ppm .psd .pxr .qoi
.ras .rgb .rgba .sgi .tga .tif .tiff .vda .vst .webp .xbm .xpm
"""
SUFFIXES = frozenset(_SUFFIXES.split())
"""Endings of the files that Pillow reads by itself, in lower case: no video, and none that starts another program."""
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ")
"""First bytes of the pictures that are read from files without an ending."""
BRAND = b"ftypavi"
"""Bytes 4 to 10 of an AVIF picture."""
HIDDEN_FOLDERS = frozenset({"__macosx", "@eadir", "$recycle.bin", "system volume information"})
HIDDEN_FILES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})
SHOWN = 6
"""Endings, or names, that are listed of those left out."""


def is_hidden(name: str, *, folder: bool) -> bool:
    """Return whether a file or folder is hidden, or was put there by an operating system."""
    return name.startswith(".") or name.lower() in (HIDDEN_FOLDERS if folder else HIDDEN_FILES)


@dataclass
class LeftOut:
    """Count of what lies among pictures and is not read.

    Attributes:
        endings: files that are no pictures, by ending.
        hidden: hidden files.
        folders: hidden folders, by name.
        special: names of what is no file: FIFOs, sockets, devices, links to nowhere, and links to folders.
    """

    endings: Counter[str] = field(default_factory=Counter)
    hidden: int = 0
    folders: Counter[str] = field(default_factory=Counter)
    special: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield a line for each reason."""
        if self.endings:
            counts = [f"{ending or 'without an ending'} {n}" for ending, n in _by_count(self.endings)]
            yield f"{counted(self.endings.total(), 'file')} that {_are(self.endings.total())} ({listed(counts)})"
        if self.folders:
            names = [f"{name} {n}" if n > 1 else name for name, n in _by_count(self.folders)]
            yield f"{counted(self.folders.total(), 'hidden folder')} ({listed(names)})"
        if self.hidden:
            yield counted(self.hidden, "hidden file")
        if self.special:
            what = "entry that is no file" if len(self.special) == 1 else "entries that are no files"
            yield f"{len(self.special)} {what} ({listed(sorted(self.special))})"


def _by_count(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _are(count: int) -> str:
    return "is no picture" if count == 1 else "are no pictures"


def counted(count: int, noun: str) -> str:
    """Return a number with a noun.

    >>> counted(1, "file"), counted(2000, "file")
    ('1 file', '2,000 files')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(names: Iterable[str], most: int = SHOWN) -> str:
    """Return the first names with commas, and the number of the others.

    >>> listed("abcd", 2)
    'a, b and 2 more'
    """
    found = list(names)
    return ", ".join(found[:most]) + (f" and {len(found) - most:,} more" if len(found) > most else "")


def pictures(folder: str | Path, left_out: LeftOut) -> Iterator[str]:
    """Yield the picture files below a folder, and count in `left_out` what else lies there.

    Raises:
        DataError: a folder can't be listed.
    """
    folders = [str(folder)]
    while folders:
        entries = entries_of(folders.pop())
        # Links to folders are not followed: they may go in circles.
        inner = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        folders += [entry.path for entry in inner if not is_hidden_folder(entry, left_out)]
        yield from (
            entry.path for entry in entries if not entry.is_dir(follow_symlinks=False) and is_picture(entry, left_out)
        )


def is_hidden_folder(entry: os.DirEntry[str], left_out: LeftOut) -> bool:
    """Return whether a folder is hidden; count it in `left_out` if so."""
    hidden = is_hidden(entry.name, folder=True)
    if hidden:
        left_out.folders[entry.name] += 1
    return hidden


def entries_of(folder: str | Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder.

    Raises:
        DataError: it can't be listed.
    """
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        raise DataError(f"every folder of images must be readable, {folder} is not: {error.strerror}") from error


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_picture(entry: os.DirEntry[str], left_out: LeftOut) -> bool:
    """Return whether an entry that is no folder is a picture file; count it in `left_out` if not."""
    if is_hidden(entry.name, folder=False):
        left_out.hidden += 1
        return False
    ending = os.path.splitext(entry.name)[1].lower()
    if reason := _no_file(entry):
        left_out.special.append(f"{entry.name}: {reason}")
        return False
    if ending in SUFFIXES or (not ending and _begins_like_a_picture(entry.path)):
        return True
    left_out.endings[ending] += 1
    return False


def _no_file(entry: os.DirEntry[str]) -> str | None:
    """Return in words which kind of entry this is, None for a file or a link to one."""
    if entry.is_file(follow_symlinks=False):
        return None
    try:
        return no_file(os.stat(entry.path).st_mode)
    except OSError:
        return "link to nowhere"


def no_file(mode: int) -> str | None:
    """Return in words what a mode of the system stands for, None for a file."""
    kinds = {
        stat.S_IFREG: None,
        stat.S_IFDIR: "link to a folder",
        stat.S_IFIFO: "FIFO",
        stat.S_IFSOCK: "socket",
    }
    return kinds.get(stat.S_IFMT(mode), "device")


def _begins_like_a_picture(path: str) -> bool:
    try:
        with open(path, "rb", buffering=0) as file:
            start = file.read(12)
    except OSError:
        return False
    if start.startswith(b"RIFF"):
        return start.endswith(b"WEBP")
    return start.startswith(SIGNATURES) or start[4:].startswith(BRAND)
