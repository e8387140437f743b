"""Parts of a search, as the driver uses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.evaluation.pump import Latest
from nas.fidelity.policy import Policy
from nas.jobs import Curve, Executor
from nas.jobs.clock import Clock, WallClock
from nas.samplers.view import View
from nas.search.proposer import Proposer
from nas.study.progress import Observer
from nas.study.retention import Retention
from nas.study.study import Study

POLL_SECONDS = 0.5

Values = Callable[[Curve, Mapping[str, float]], dict[str, float]]
Devices = Callable[[Mapping[str, Any]], int]


def one_device(_: Mapping[str, Any]) -> int:
    """Return 1: every network is trained over one device."""
    return 1


@dataclass(frozen=True)
class SearchParts:
    """Parts of a search.

    Attributes:
        study: stores everything.
        view: in-memory study that the sampler sees; empty.
        proposer: proposes new networks, by asks to that view.
        policy: decides how far a trial is trained before the next decision about it.
        executor: runs the jobs.
        values: returns the objectives of a trained network, from its learning curve and its costs.
        latest: finds the newest checkpoint in a folder.
        observers: show or track the search.
        retention: deletes checkpoints of trials that have ended; None keeps all.
        clock: clock of the budget's minutes.
        poll_seconds: longest wait for an outcome before the driver looks for a stop request, positive.
        devices: number of devices for an architecture in JSON form; more than there are slots stands for all of them.
    """

    study: Study
    view: View
    proposer: Proposer
    policy: Policy
    executor: Executor
    values: Values
    latest: Latest
    observers: Sequence[Observer] = ()
    retention: Retention | None = None
    clock: Clock = field(default_factory=WallClock)
    poll_seconds: float = POLL_SECONDS
    devices: Devices = one_device
