"""Full training of every trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from nas.fidelity.factory import Horizon
from nas.fidelity.policy import Decision, Standing, Start, Thaw
from nas.study.trial import Expected, Record


@final
class Full:
    """Policy that trains every trial to the last epoch; trials that an earlier run left unfinished go first."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def decide(self, standing: Standing) -> Decision | None:
        """Return the oldest unfinished trial, then a new one."""
        if standing.waiting:
            return Thaw(standing.waiting[0].number, self._epochs)
        return Start(self._epochs) if standing.may_start else None

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:  # noqa: ARG002 - no trial ends at a rung
        """Return no predictions."""
        return {}


def make(horizon: Horizon) -> Full:
    """Return the policy."""
    return Full(horizon.epochs)
