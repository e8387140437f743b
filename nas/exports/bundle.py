"""The folder that is handed over: written aside, checked, and only then put in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.exports import FORMATS, ExportError, Format, Subject, load_format
from nas.jobs.files import temporary_folder, write_json

TOLERANCE = 1e-5
ARCHITECTURE, PREPROCESSING, CHECKS = "architecture.json", "preprocessing.json", "checks.json"


def write_bundle(
    subject: Subject, output: Path, formats: Sequence[Format], circumstances: Mapping[str, Any]
) -> dict[str, Any]:
    """Hand a network over.

    Whatever an earlier hand-over left in the folder is replaced or removed, so that all forms there are of one network;
    files that are not of a bundle stay. Where a form fails its check, nothing in the folder changes.

    Args:
        subject: the network.
        output: the folder, made where there is none.
        formats: the forms to write, what they need first.
        circumstances: what stands in `checks.json` beside the checks: where the network and its weights come from.

    Returns:
        The content of `checks.json`.

    Raises:
        ExportError: a form does not give what the network gives.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(output.parent, f".{output.name}-") as aside:
        write_json(aside / ARCHITECTURE, subject.architecture)
        write_json(aside / PREPROCESSING, subject.preprocessing)
        for form in formats:
            form.write(subject, aside)
        checks = {form.file: form.check(subject, aside) for form in formats}
        _refuse_differences(checks)
        document = {**circumstances, "tolerance": TOLERANCE, "checks": checks}
        write_json(aside / CHECKS, document)
        _put_in_place(aside, output)
    return document


def _refuse_differences(checks: Mapping[str, Mapping[str, Any]]) -> None:
    for file, check in checks.items():
        if not check["max_difference"] <= TOLERANCE:  # a NaN is no agreement either
            raise ExportError(
                f"every form must give what the network gives, within {TOLERANCE:g}; {file} differs by "
                f"{check['max_difference']:.3g}; nothing was handed over"
            )


def _put_in_place(aside: Path, output: Path) -> None:
    output.mkdir(exist_ok=True)
    ours = {ARCHITECTURE, PREPROCESSING, CHECKS, *(load_format(name).file for name in FORMATS)}
    (output / CHECKS).unlink(missing_ok=True)  # it comes last, so that it never speaks of other files
    for old in ours - {path.name for path in aside.iterdir()}:
        (output / old).unlink(missing_ok=True)
    for path in sorted(aside.iterdir(), key=lambda path: path.name == CHECKS):
        path.replace(output / path.name)
