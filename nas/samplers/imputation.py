"""A study in memory some of whose trials look complete before they are: with what they are expected to come to."""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping, Sequence
from typing import Any, final

from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

DEVIATION = "deviation"
"""User attribute of a trial: standard deviation of what its value may yet turn out to be; none for a measured one."""

SECONDS = "seconds"
"""User attribute of a trial: seconds that a full training of it takes."""


@final
class ForeseeingStorage(InMemoryStorage):
    """Whoever reads its trials, as samplers do, finds some of them replaced.

    Attributes:
        foreseen: what is shown in the place of a trial, by its number.
        corrected: the same for complete trials, whose values Optuna keeps as they were told first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.foreseen: dict[int, FrozenTrial] = {}
        self.corrected: dict[int, FrozenTrial] = {}

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """All trials as they are to be seen, of these states only."""
        if not self.foreseen and not self.corrected:
            return super().get_all_trials(study_id, deepcopy, states)
        stored = super().get_all_trials(study_id, deepcopy=False)
        shown = self.corrected | self.foreseen
        seen = [shown.get(trial.number, trial) for trial in stored]
        chosen = [trial for trial in seen if states is None or trial.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen


def foreseen(trial: FrozenTrial, values: Sequence[float], attributes: Mapping[str, Any]) -> FrozenTrial:
    """A copy of `trial` that is complete with these values, and has these user attributes besides its own."""
    seen = copy.copy(trial)
    seen.state = TrialState.COMPLETE
    seen.values = list(values)
    seen.user_attrs = {**trial.user_attrs, **attributes}
    seen.datetime_complete = trial.datetime_complete or trial.datetime_start
    return seen
