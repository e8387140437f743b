"""Front members are trained again, with another seed each time, before they are believed.

Where validation is small, a network may stand on the front because it was lucky: of many measured values the best are
too good on average. So whatever stands on the front is measured again, and counts with the mean. A lucky one then
falls back among the others, and who takes its place is measured again in turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

from nas.fidelity.policy import Decision, Policy, RepeatTraining, Standing
from nas.objectives.pareto import Axis
from nas.study.summary import front_records
from nas.study.trial import Expected, Record


@final
class Repeating:
    """Asks another policy, once every member of the front has been trained often enough.

    Repeats come first, for what is asked for next follows from the front. They use up the budget's trainings and
    minutes like every training; of `budget.trials` they are none, so a search that ends by it ends with a front that
    has been trained again.
    """

    def __init__(self, policy: Policy, axes: Sequence[Axis], repeats: int) -> None:
        """Make the policy.

        Args:
            policy: decides about everything else.
            axes: the objectives.
            repeats: how often a member of the front is trained again, at least 1; a repeat that fails counts.
        """
        self._policy = policy
        self._axes = axes
        self._repeats = repeats

    def decide(self, standing: Standing) -> Decision | None:
        """A repeat that was left open first, then one of the front, then what the other policy says."""
        idle = [record for record in standing.records.values() if record.number not in standing.running]
        for record in idle:
            if record.repeating:
                return RepeatTraining(record.number)
        if standing.trainings_left != 0:
            front = front_records(list(standing.records.values()), self._axes)
            due = [r for r in front if r.number not in standing.running and len(r.repeats) < self._repeats]
            if due:
                return RepeatTraining(min(due, key=lambda record: (len(record.repeats), record.number)).number)
        return self._policy.decide(standing)

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:
        """What the other policy expects."""
        return self._policy.expected(records)
