"""Repeated training of the front: every member is trained again with other seeds, and counts with its mean.

On a small validation set, the best of many measured values are too good on average (the winner's curse). The mean over
repeats moves a lucky network off the front, and the network that takes its place is repeated in turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import final

from nas.fidelity.policy import Decision, Policy, RepeatTraining, Standing
from nas.study.belief import Believer
from nas.study.trial import Expected, Record


@final
class Repeating:
    """Policy that repeats the trainings of the front, and otherwise decides as another policy.

    Repeats come first, since the next suggestion depends on the front. They use up `budget.trainings` and
    `budget.minutes` but not `budget.trials`, so a search that ends by its trials ends with a repeated front.
    """

    def __init__(self, policy: Policy, believer: Believer, repeats: int) -> None:
        """Make the policy.

        Args:
            policy: makes all other decisions.
            believer: believer of the study, which chooses the front.
            repeats: number of further trainings of each member of the front, at least 1; a failed one counts.
        """
        self._policy = policy
        self._believer = believer
        self._repeats = repeats

    def decide(self, standing: Standing) -> Decision | None:
        """Return an unfinished repeat first, then one of the front, then the decision of the other policy."""
        idle = [record for record in standing.records.values() if record.number not in standing.running]
        for record in idle:
            if record.repeating:
                return RepeatTraining(record.number)
        if standing.trainings_left != 0:
            front = self._believer.front(list(standing.records.values()))
            due = [r for r in front if r.number not in standing.running and len(r.repeats) < self._repeats]
            if due:
                return RepeatTraining(min(due, key=lambda record: (len(record.repeats), record.number)).number)
        return self._policy.decide(standing)

    def expected(self, records: Mapping[int, Record]) -> Mapping[int, Expected]:
        """Return the predictions of the other policy."""
        return self._policy.expected(records)
