"""Bundle of exported files: written to a temporary folder, checked, and then moved into place."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    files_of,
    is_file_name,
    load_format,
)
from nas.jobs.files import sync_files, temporary_folder, write_json

if TYPE_CHECKING:
    from nas.exports.subject import Subject

TOLERANCE = 1e-5
"""Difference from the network that a file may have, see `relative_difference`."""
ROUNDINGS = 4.0
"""Such a difference in multiples of what float32 itself makes, where that is more: networks of many layers reach it."""


def write_bundle(
    subject: Subject,
    output: Path,
    formats: Sequence[Format],
    circumstances: Mapping[str, Any],
    *,
    required: bool = True,
) -> dict[str, Any]:
    """Export a network.

    The files of an earlier export in the folder are replaced or removed, so that all are of one network; other files
    stay. If a format fails its check, nothing in the folder changes.

    A check with `min_agreement` is of an approximate format: its classes, not its outputs, must be the network's.

    Args:
        subject: the network.
        output: the folder, created if missing.
        formats: the formats to write, each after those that it needs.
        circumstances: origin of the network and of its weights, for `checks.json`.
        required: False leaves out an approximate format that fails its check, and every format that needs it; the
            reason stands under `left_out`.

    Returns:
        The content of `checks.json`: `checks` by file, each with the file's size in `bytes`.

    Raises:
        ExportError: the outputs of a file differ from the network's by more than `TOLERANCE` and by more than
            `ROUNDINGS` roundings of float32, or its classes in more images than its format admits.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(output.parent, f".{output.name}-") as aside, _errors_of(aside, output):
        write_json(aside / ARCHITECTURE, subject.architecture)
        write_json(aside / PREPROCESSING, subject.preprocessing)
        for form in formats:
            form.write(subject, aside)
        checks = {form.file: form.check(subject, aside) for form in formats}
        tolerance = _tolerance(checks.values(), subject)
        failures = {file: reason for file, check in checks.items() if (reason := _failure(file, check, tolerance))}
        for file, reason in failures.items():
            if required or "min_agreement" not in checks[file]:
                raise ExportError(f"{reason}; nothing was written")
        for form in formats:
            if form.file in failures:
                _remove(form, aside)
        kept = {form.file: _sized(form, checks[form.file], aside) for form in formats if form.file not in failures}
        document = {**circumstances, "tolerance": tolerance, "checks": kept}
        if failures:
            document["left_out"] = failures
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


def _tolerance(checks: Iterable[Mapping[str, Any]], subject: Subject) -> float:
    """Return the difference that exact files may have: `TOLERANCE`, and no more where all of them keep to it."""
    exact = [check["max_difference"] for check in checks if "min_agreement" not in check]
    if all(difference <= TOLERANCE for difference in exact):
        return TOLERANCE
    return max(TOLERANCE, ROUNDINGS * subject.rounding)


def _failure(file: str, check: Mapping[str, Any], tolerance: float) -> str | None:
    """Return the law that a file breaks and the facts, None if it passes its check."""
    if "min_agreement" in check:
        if check["argmax_agreement"] >= check["min_agreement"]:
            return None
        return (
            f"classes of an approximate file must be the network's for {check['min_agreement']:.0%} of the images; "
            f"{file} agrees on {check['argmax_agreement']:.1%}"
        )
    if check["max_difference"] <= tolerance:  # NaN is refused too
        return None
    return (
        f"outputs of an exported file must equal the network's within {tolerance:.3g}; {file} differs by "
        f"{check['max_difference']:.3g}"
    )


def _sized(form: Format, check: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a check with the size of the format's files in bytes."""
    return {**check, "bytes": sum((folder / name).stat().st_size for name in files_of(form))}


def _remove(form: Format, folder: Path) -> None:
    for name in files_of(form):
        (folder / name).unlink()


def _move_into_place(aside: Path, output: Path) -> None:
    """Put a bundle in place; one that is killed meanwhile leaves no files of two exports side by side.

    All files of an earlier export go before the first one comes, and `checks.json` comes last. A link in the place of a
    file is replaced, and what it points to is left alone.
    """
    output.mkdir(exist_ok=True)
    new = sorted(aside.iterdir(), key=lambda path: path.name == CHECKS)
    for path in new:
        _refuse_folder(output / path.name)
    gone = sorted(_files_of_bundles(output) | {path.name for path in new})
    (output / CHECKS).unlink(missing_ok=True)
    for name in gone:
        place = output / name
        if place.is_symlink() or place.is_file():
            place.unlink()
    for path in new:
        path.replace(output / path.name)


def _refuse_folder(place: Path) -> None:
    """Refuse a folder in the place of a file.

    Raises:
        ExportError: there is one.
    """
    if place.is_dir() and not place.is_symlink():
        raise ExportError(f"a file of an export must not be in the place of a folder, {place} is one: move it away")


def _files_of_bundles(output: Path) -> set[str]:
    """Return the names of files that an earlier export may have written: of our formats, and of those in its checks."""
    try:
        checked = set(map(str, json.loads((output / CHECKS).read_text(encoding="utf-8"))["checks"]))
    except (OSError, ValueError, LookupError, TypeError):  # no earlier export, or not its file
        checked = set()
    inside = filter(is_file_name, checked)  # the file may be of another program: nothing is deleted outside
    ours = (name for form in map(load_format, FORMATS.names()) for name in files_of(form))
    return {ARCHITECTURE, PREPROCESSING, CHECKS, *inside, *ours}
