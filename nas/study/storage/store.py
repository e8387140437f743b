"""Protocol of the databases that keep a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from optuna.trial import FrozenTrial, TrialState

from nas.study.storage.trial_reading import NONE, Earlier, Trial

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

T = TypeVar("T")

Attributes = Mapping[str, object]
Steps = Mapping[int, float]
"""Optuna's intermediate values of a trial, by step."""
Fill = Callable[["BaseStorage", str], None]
"""Creates a study of this name in this storage."""


class Store(Protocol):
    """Storage of one study in a database.

    Attributes:
        kind: `sqlite`, `postgres` or `memory`.
        label: name of the study and its database in errors.
        location: path of the file, or name of the database.
        study: name of the study in the database.
    """

    kind: str
    label: str
    location: str
    study: str

    @property
    def storage(self) -> BaseStorage:
        """Optuna's storage on the database."""
        ...

    def attributes(self) -> Mapping[str, Any]:
        """Return the user attributes of the study.

        Raises:
            ValueError: the database is damaged.
        """
        ...

    def version(self) -> object | None:
        """Return a value that differs after every later write to the database; None if that is not known."""
        ...

    def trials(self, earlier: Earlier = NONE) -> tuple[Sequence[Trial], Mapping[int, str]]:
        """Return the trials of the study in order of their numbers, and why others can't be read, by number.

        Args:
            earlier: the trials of an earlier call, by number; those that had ended need not be read again.

        Raises:
            ValueError: the database is damaged.
        """
        ...

    def frozen_trials(self) -> tuple[Sequence[FrozenTrial], Mapping[int, str]]:
        """Return what `trials` does as Optuna's own trials, which hold more and take longer.

        Raises:
            ValueError: the tables can't be read.
        """
        ...

    def check(self) -> None:
        """Refuse to open a study that does not exist, or that no search made.

        Raises:
            ValueError: one of the two.
        """
        ...

    def exists(self) -> bool:
        """Return whether the database has a study of this name, made by a search or not."""
        ...

    def create(self, fill: Fill) -> None:
        """Create the study under another name and rename it: a killed process leaves no half-made study."""
        ...

    def retry(self, transaction: Callable[[], T]) -> T:
        """Return the result of `transaction`, repeated while the database is unreachable or locked.

        Args:
            transaction: leaves nothing behind when it fails, and may succeed twice without harm.

        Raises:
            StorageError: the database stays unreachable, or can't be written to; the message says why.
        """
        ...

    def add_trial(self, study_id: int, trial: FrozenTrial, unique: str) -> tuple[int, int]:
        """Store a new trial without values.

        Args:
            study_id: primary key of the study.
            trial: made by `create_trial`.
            unique: key of a user attribute of `trial`, whose value no other trial of the study has.

        Returns:
            The primary key of the trial, and its number in the study.
        """
        ...

    def start_trial(self, trial_id: int, trial: FrozenTrial) -> None:
        """Start a trial that waits: give it the parameters and attributes of `trial`, all at once."""
        ...

    def set_attributes(self, trial_id: int, attributes: Attributes, steps: Steps) -> None:
        """Store user attributes and intermediate values of a trial, all or none of them."""
        ...

    def end_trial(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> None:
        """Set the final state of a trial, and its values if it is complete."""
        ...

    def stop_waiting(self) -> None:
        """Wait no longer for an unreachable database, in running calls and later ones."""
        ...

    def acquire_lock(self) -> None:
        """Become the study's one driver; the caller holds the lock on its folder as well.

        Raises:
            StudyLockedError: another process drives it; the message names it.
        """
        ...

    def record_driver(self) -> None:
        """Record the driver in the study, which exists by now."""
        ...

    def release_lock(self) -> None:
        """Cease to be the study's driver; a second call does nothing."""
        ...

    def is_driven(self) -> bool:
        """Return whether a process drives the study now."""
        ...

    def request_stop(self) -> None:
        """Ask the study's driver to stop the search."""
        ...

    def take_stop_request(self) -> bool:
        """Return whether a stop was requested since the last call, which only the driver makes."""
        ...

    def close(self) -> None:
        """Close the connections to the database."""
        ...
