"""Export formats: the protocol that each keeps, and the formats that a command names.

A format is a module of this package with an object `FORMAT`, or an object at a dotted path.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from search_space.plugins import PluginError, PluginKind

if TYPE_CHECKING:
    from nas.exports.subject import Subject

FORMATS = PluginKind("formats", "nas.exports", "FORMAT")
ARCHITECTURE, PREPROCESSING, CHECKS = "architecture.json", "preprocessing.json", "checks.json"
"""Files of every bundle, whatever its formats."""


class ExportError(ValueError):
    """A network can't be exported in a format that was asked for; the message says which and why."""


@runtime_checkable
class Format(Protocol):
    """Export format: writes one file of a bundle and checks it.

    A format that writes more than one file names the others in an attribute `companions`. One that is written only if
    it is asked for by name has a true attribute `on_request`.
    """

    @property
    def file(self) -> str:
        """Name of the file that the format writes, without a folder."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the formats whose files this one needs beside it."""
        ...

    def unavailable(self) -> str | None:
        """Return one line that says why the format can't be written here and what helps; None if it can."""
        ...

    def write(self, subject: Subject, folder: Path) -> None:
        """Write the file into `folder`, which holds `preprocessing.json` and the files of `needs`."""
        ...

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Compare the file with the torch module, in a process that can't import this project.

        Returns:
            `max_difference`, at least 0, and other facts for `checks.json`; of an approximate format also
            `argmax_agreement` and `min_agreement`, the share of images whose class must be the network's.
        """
        ...


def files_of(form: Format) -> tuple[str, ...]:
    """Return the names of all files that a format writes, the one that it is known by first."""
    companions: tuple[str, ...] = getattr(form, "companions", ())
    return (form.file, *companions)


def load_format(name: str) -> Format:
    """Return the format of that name.

    Args:
        name: a module of this package, or a dotted path.

    Raises:
        PluginError: there is no such format, or the object does not keep the protocol.
    """
    found = FORMATS.load(name)
    if not isinstance(found, Format):
        raise PluginError(f"formats must name objects that keep the protocol of nas/exports/format.py, got {name}")
    for file in files_of(found):
        if not is_file_name(file) or file in {ARCHITECTURE, PREPROCESSING, CHECKS}:
            raise PluginError(f"a format must write a file of its own in the bundle, {name} writes {file!r}")
    return found


def is_file_name(name: str) -> bool:
    """Return whether a name can be a file's in a bundle: it has no folder.

    >>> is_file_name("model.py"), is_file_name("../model.py"), is_file_name("..")
    (True, False, False)
    """
    return Path(name).name == name and name not in {"", ".."}


def choose_formats(names: Sequence[str]) -> tuple[list[Format], list[str]]:
    """Return the formats to write, each after those that it needs, and a line for each that is left out.

    Args:
        names: the formats asked for; if empty, all of ours that can be written here and need not be asked for.

    Raises:
        PluginError: there is no such format.
        ExportError: a format that is asked for can't be written here, or two write the same file.
    """
    wanted: dict[str, Format] = {}
    left_out = []
    for name in names or FORMATS.names():
        try:
            needed = _with_needs(name)
        except PluginError as error:
            if names:
                raise
            left_out.append(f"{name} needs another format: {error}")
            continue
        if not names and getattr(needed[name], "on_request", False):
            continue
        reason = next((reason for form in needed.values() if (reason := form.unavailable()) is not None), None)
        if reason is None:
            wanted |= {key: form for key, form in needed.items() if key not in wanted}
        elif names:
            raise ExportError(reason)
        else:
            file = needed[name].file
            left_out.append(reason if reason.startswith(file) else f"{file}: {reason}")
    files = [file for form in wanted.values() for file in files_of(form)]
    if len(set(files)) < len(files):
        raise ExportError(f"formats must write files of different names, got {', '.join(files)}")
    return list(wanted.values()), left_out


def _with_needs(name: str) -> dict[str, Format]:
    """Return the formats that a format needs, directly or not, and then itself, with their names as keys."""
    form = load_format(name)
    needed: dict[str, Format] = {}
    for need in form.needs:
        needed |= _with_needs(need)
    return {**needed, name: form}
