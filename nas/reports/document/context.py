"""Facts about a study from outside of it, which its page shows: settings, machine, results and commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.study.latencies import MeasuredOn


@dataclass(frozen=True)
class ReportContext:
    """Facts that a page takes from outside the study: settings, machine, retraining results and commands.

    Attributes:
        reference: overrides that name the study in a command, quoted for a shell, such as `study=mine`.
        search: command that searched it, quoted for a shell; None if the settings are not known.
        exact: whether that command composes to the stored settings.
        config: settings of its latest search; empty if not known.
        settings: the same settings as YAML text.
        environment: machine and versions of its latest search; empty if not known.
        retrained: results of retrained networks, as `nas retrain` writes them.
        baselines: results of its baselines, likewise.
        measured: latencies of its networks that were measured, by device and circumstances.
        named: the override `study=…` in `reference`; empty if there is no other.
        search_with: returns the command with another budget, given by criterion, or None; None if it can't be told.
    """

    reference: str
    search: str | None = None
    exact: bool = True
    config: Mapping[str, Any] = field(default_factory=dict)
    settings: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    retrained: Sequence[Mapping[str, Any]] = ()
    measured: Sequence[MeasuredOn] = ()
    baselines: Sequence[Mapping[str, Any]] = ()
    named: str = ""
    search_with: Callable[[Mapping[str, float | None]], str | None] | None = None
