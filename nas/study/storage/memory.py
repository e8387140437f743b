"""A study of which nothing is left when the process ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, final

from optuna.storages import BaseStorage, InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from nas.study.storage.store import Attributes, Fill

T = TypeVar("T")


@final
class MemoryStore:
    """One study in this process's memory, which no other process sees."""

    kind = "memory"
    place = kept = "memory"
    study = "study"

    def __init__(self) -> None:
        self.storage: BaseStorage = InMemoryStorage()

    def check(self) -> None:
        """Refuse to open what was not made.

        Raises:
            ValueError: there is no study yet.
        """
        if not self.exists():
            raise ValueError("a study in memory must be made before it is opened, it is not")

    def exists(self) -> bool:
        """Whether the study was made."""
        return bool(self.storage.get_all_studies())

    def create(self, fill: Fill) -> None:
        """Make the study."""
        fill(self.storage, self.study)

    def attempt(self, act: Callable[[], T]) -> T:
        """What `act` returns."""
        return act()

    def add_trial(self, study_id: int, trial: FrozenTrial, unique: str) -> tuple[int, int]:  # noqa: ARG002 - nothing is lost here
        """Keep a new trial."""
        trial_id = self.storage.create_new_trial(study_id, template_trial=trial)
        return trial_id, self.storage.get_trial_number_from_id(trial_id)

    def set_attributes(self, trial_id: int, attributes: Attributes) -> None:
        """Keep user attributes of a trial."""
        for key, value in attributes.items():
            self.storage.set_trial_user_attr(trial_id, key, value)

    def end_trial(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> None:
        """End a trial."""
        self.storage.set_trial_state_values(trial_id, state, values)

    def hurry(self) -> None:
        """Nothing: nothing is waited for."""

    def hold(self) -> None:
        """Nothing: no other process sees the study."""

    def sign(self) -> None:
        """Nothing."""

    def release(self) -> None:
        """Nothing."""

    def is_driven(self) -> bool:
        """False: no process but this one could ask."""
        return False

    def request_stop(self) -> None:
        """Nothing: no other process could ask."""

    def take_stop_request(self) -> bool:
        """False: no other process could ask."""
        return False

    def close(self) -> None:
        """Nothing."""
