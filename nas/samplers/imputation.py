"""Imputation of unfinished trials: an Optuna storage that shows them as complete, with predicted values.

Samplers of Optuna's learn from complete trials. Trials that wait half trained, or were pruned, teach them more if they
appear with the values that are predicted for them.
"""

from __future__ import annotations

import copy
from collections.abc import Container, Mapping, Sequence
from typing import Any, final

from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

DEVIATION = "deviation"
"""User attribute of a trial: standard deviation of its imputed value; absent for a measured one."""

SECONDS = "seconds"
"""User attribute of a trial: seconds of a full training."""


@final
class ImputedStorage(InMemoryStorage):
    """In-memory storage in which some trials are replaced for all readers, samplers among them.

    Attributes:
        imputed: replacements of unfinished trials, by their numbers.
        corrected: replacements of complete trials, whose values Optuna does not let change.
    """

    def __init__(self) -> None:
        super().__init__()
        self.imputed: dict[int, FrozenTrial] = {}
        self.corrected: dict[int, FrozenTrial] = {}

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return all trials with their replacements, of these states only."""
        if not self.imputed and not self.corrected:
            return super().get_all_trials(study_id, deepcopy, states)
        stored = super().get_all_trials(study_id, deepcopy=False)
        shown = {**self.corrected, **self.imputed}
        seen = [shown.get(trial.number, trial) for trial in stored]
        chosen = [trial for trial in seen if states is None or trial.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen


def completed(trial: FrozenTrial, values: Sequence[float], attributes: Mapping[str, Any]) -> FrozenTrial:
    """Return a copy of a trial that is complete.

    Args:
        trial: the trial.
        values: values of the copy.
        attributes: user attributes that the copy has besides the trial's own.
    """
    seen = copy.copy(trial)
    seen.state = TrialState.COMPLETE
    seen.values = list(values)
    seen.user_attrs = {**trial.user_attrs, **attributes}
    seen.datetime_complete = trial.datetime_complete or trial.datetime_start
    return seen
