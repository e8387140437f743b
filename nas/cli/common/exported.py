"""Access to exported networks, for commands that begin without torch."""

from __future__ import annotations

from types import ModuleType

from nas.jobs.notice import showing


def exported_networks(command: str) -> ModuleType:
    """Return the module with `open_predictor` and `evaluate`, loaded only now, with a notice on a terminal.

    Args:
        command: name of the command, for the notice.
    """
    with showing(f"nas {command}: loading torch"):
        from nas.exports import evaluation  # noqa: PLC0415 - takes seconds
    return evaluation
