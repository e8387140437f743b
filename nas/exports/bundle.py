"""Bundle of exported files: written to a temporary folder, checked, and then moved into place."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.exports.format import (
    ARCHITECTURE,
    CHECKS,
    FORMATS,
    PREPROCESSING,
    ExportError,
    Format,
    is_file_name,
    load_format,
)
from nas.jobs.files import sync_files, temporary_folder, write_json

if TYPE_CHECKING:
    from nas.exports.subject import Subject

TOLERANCE = 1e-5


def write_bundle(
    subject: Subject, output: Path, formats: Sequence[Format], circumstances: Mapping[str, Any]
) -> dict[str, Any]:
    """Export a network.

    The files of an earlier export in the folder are replaced or removed, so that all are of one network; other files
    stay. If a format fails its check, nothing in the folder changes.

    Args:
        subject: the network.
        output: the folder, created if missing.
        formats: the formats to write, each after those that it needs.
        circumstances: origin of the network and of its weights, for `checks.json`.

    Returns:
        The content of `checks.json`.

    Raises:
        ExportError: the outputs of a file differ from the network's by more than `TOLERANCE`.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(output.parent, f".{output.name}-") as aside, _errors_of(aside, output):
        write_json(aside / ARCHITECTURE, subject.architecture)
        write_json(aside / PREPROCESSING, subject.preprocessing)
        for form in formats:
            form.write(subject, aside)
        checks = {form.file: form.check(subject, aside) for form in formats}
        _check_differences(checks)
        document = {**circumstances, "tolerance": TOLERANCE, "checks": checks}
        write_json(aside / CHECKS, document)
        sync_files(aside)
        _move_into_place(aside, output)
    return document


@contextmanager
def _errors_of(aside: Path, output: Path) -> Iterator[None]:
    """Name the folder that was asked for in errors of files that can't be written."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and (error.filename is None or str(error.filename).startswith(f"{aside}{os.sep}")):
            error.filename, error.filename2 = str(output), None
        raise


def _check_differences(checks: Mapping[str, Mapping[str, Any]]) -> None:
    for file, check in checks.items():
        if not check["max_difference"] <= TOLERANCE:  # NaN is refused too
            raise ExportError(
                f"outputs of an exported file must equal the network's within {TOLERANCE:g}; {file} differs by "
                f"{check['max_difference']:.3g}; nothing was written"
            )


def _move_into_place(aside: Path, output: Path) -> None:
    output.mkdir(exist_ok=True)
    old = _files_of_bundles(output) - {path.name for path in aside.iterdir()}
    (output / CHECKS).unlink(missing_ok=True)  # written last, so that it never describes other files
    for name in old:
        if (output / name).is_file():
            (output / name).unlink()
    for path in sorted(aside.iterdir(), key=lambda path: path.name == CHECKS):
        path.replace(output / path.name)


def _files_of_bundles(output: Path) -> set[str]:
    """Return the names of files that an earlier export may have written: of our formats, and of those in its checks."""
    try:
        checked = set(map(str, json.loads((output / CHECKS).read_text(encoding="utf-8"))["checks"]))
    except (OSError, ValueError, LookupError, TypeError):  # no earlier export, or not its file
        checked = set()
    inside = filter(is_file_name, checked)  # the file may be of another program: nothing is deleted outside
    return {ARCHITECTURE, PREPROCESSING, CHECKS, *inside, *(load_format(name).file for name in FORMATS.names())}
