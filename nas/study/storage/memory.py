"""Store of a study in the memory of this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, final

from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from nas.study.storage.store import Attributes, Fill, Steps
from nas.study.storage.trial_reading import NONE, Earlier, Trial

T = TypeVar("T")


@final
class MemoryStore:
    """Store of one study that no other process sees and that ends with this one."""

    kind = "memory"
    label = location = "memory"
    study = "study"

    def __init__(self) -> None:
        self.storage: BaseStorage = InMemoryStorage()

    def attributes(self) -> Mapping[str, Any]:
        """Return the user attributes of the study."""
        return self.storage.get_study_user_attrs(self._key())

    def version(self) -> None:
        """Return nothing: a reading costs little."""

    def trials(self, earlier: Earlier = NONE) -> tuple[Sequence[Trial], Mapping[int, str]]:  # noqa: ARG002 - all are at hand
        """Return the trials of the study in order of their numbers; all can be read."""
        return self.frozen_trials()

    def frozen_trials(self) -> tuple[Sequence[FrozenTrial], Mapping[int, str]]:
        """Return the trials of the study in order of their numbers; all can be read."""
        return self.storage.get_all_trials(self._key(), deepcopy=False), {}

    def _key(self) -> int:
        return self.storage.get_study_id_from_name(self.study)

    def check(self) -> None:
        """Refuse to open a study before it is created.

        Raises:
            ValueError: it is not.
        """
        if not self.exists():
            raise ValueError("a study in memory must be made before it is opened, it is not")

    def exists(self) -> bool:
        """Return whether the study was created."""
        return bool(self.storage.get_all_studies())

    def create(self, fill: Fill) -> None:
        """Create the study."""
        fill(self.storage, self.study)

    def retry(self, transaction: Callable[[], T]) -> T:
        """Return the result of `transaction`."""
        return transaction()

    def add_trial(self, study_id: int, trial: FrozenTrial, unique: str) -> tuple[int, int]:  # noqa: ARG002 - nothing is lost here
        """Store a new trial."""
        trial_id = self.storage.create_new_trial(study_id, template_trial=trial)
        return trial_id, self.storage.get_trial_number_from_id(trial_id)

    def start_trial(self, trial_id: int, trial: FrozenTrial) -> None:
        """Start a trial that waits."""
        for name, value in trial.params.items():
            distribution = trial.distributions[name]
            self.storage.set_trial_param(trial_id, name, distribution.to_internal_repr(value), distribution)
        self.set_attributes(trial_id, trial.user_attrs, {})
        self.storage.set_trial_state_values(trial_id, TrialState.RUNNING)

    def set_attributes(self, trial_id: int, attributes: Attributes, steps: Steps) -> None:
        """Store user attributes and intermediate values of a trial."""
        for key, value in attributes.items():
            self.storage.set_trial_user_attr(trial_id, key, value)
        for step, value in steps.items():
            self.storage.set_trial_intermediate_value(trial_id, step, value)

    def end_trial(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> None:
        """Set the final state of a trial, and its values if it is complete."""
        self.storage.set_trial_state_values(trial_id, state, values)

    def stop_waiting(self) -> None:
        """Do nothing: memory is always reachable."""

    def acquire_lock(self) -> None:
        """Do nothing: no other process sees the study."""

    def record_driver(self) -> None:
        """Do nothing: no other process sees the study."""

    def release_lock(self) -> None:
        """Do nothing: there is no lock."""

    def is_driven(self) -> bool:
        """Return False: no other process can drive the study."""
        return False

    def request_stop(self) -> None:
        """Do nothing: no other process can ask."""

    def take_stop_request(self) -> bool:
        """Return False: no other process can ask."""
        return False

    def close(self) -> None:
        """Do nothing: there are no connections."""
