"""Findings of probes, and the run of probes side by side, none of which can hang or end the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nas.jobs.credentials import without_credentials


class Health(StrEnum):
    """Verdict on a subject, from good to bad."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        topic: its subject, in a word.
        health: the verdict.
        text: the facts.
        advice: what to do; empty if nothing is to be done.
    """

    topic: str
    health: Health
    text: str
    advice: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the finding as a JSON object; URLs in it have no password."""
        return {name: without_credentials(str(value)) for name, value in vars(self).items()}


Probe = Callable[[], Sequence[Finding]]
"""Looks at one subject; an exception is its finding."""


def ok(topic: str, text: str) -> Finding:
    """Return a finding that is good."""
    return Finding(topic, Health.OK, text)


def warning(topic: str, text: str, advice: str) -> Finding:
    """Return a finding that may spoil something."""
    return Finding(topic, Health.WARNING, text, advice)


def problem(topic: str, text: str, advice: str) -> Finding:
    """Return a finding with which a search fails."""
    return Finding(topic, Health.PROBLEM, text, advice)


def worst(findings: Sequence[Finding]) -> Health:
    """Return the worst verdict, `ok` without a finding."""
    order = list(Health)
    return max((finding.health for finding in findings), key=order.index, default=Health.OK)


def examine(probes: Mapping[str, Probe], seconds: float) -> list[Finding]:
    """Run probes side by side and return their findings in order.

    Args:
        probes: the probes by their topics.
        seconds: seconds after which a probe that has not ended is left alone; its finding says so.
    """
    found: dict[str, Sequence[Finding]] = {}
    threads = {
        topic: threading.Thread(target=_run, args=(topic, probe, found), daemon=True) for topic, probe in probes.items()
    }
    for thread in threads.values():
        thread.start()
    until = time.monotonic() + seconds
    for thread in threads.values():
        thread.join(max(0.0, until - time.monotonic()))
    ended = dict(found)
    return [finding for topic in probes for finding in ended.get(topic) or [_unanswered(topic, seconds)]]


def _run(topic: str, probe: Probe, found: dict[str, Sequence[Finding]]) -> None:
    try:
        found[topic] = probe()
    except Exception as error:  # a probe that fails is a line of the report, whatever it failed of
        said = " ".join(str(error).split()) or type(error).__name__
        found[topic] = [problem(topic, f"can't be examined, {type(error).__name__}: {said}", "mend what it names")]


def _unanswered(topic: str, seconds: float) -> Finding:
    return warning(topic, f"no answer within {seconds:g} s", "give it longer, timeout=300, or see what it waits for")
