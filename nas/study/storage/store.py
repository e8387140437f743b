"""What a study needs of the database that it is kept in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

T = TypeVar("T")

Attributes = Mapping[str, object]
Fill = Callable[[BaseStorage, str], None]
"""Makes a study of this name in this storage."""


class Store(Protocol):
    """The place of one study in a database.

    Attributes:
        kind: as `storage=` names it.
        place: how errors name it.
        kept: the file or the database.
        study: the study's name in the database.
    """

    kind: str
    place: str
    kept: str
    study: str

    @property
    def storage(self) -> BaseStorage:
        """Optuna's way in."""
        ...

    def check(self) -> None:
        """Nothing where the study is there and ours.

        Raises:
            ValueError: there is none, or it is not one that a search made.
        """
        ...

    def exists(self) -> bool:
        """Whether there is something of the study's name, ours or not."""
        ...

    def create(self, fill: Fill) -> None:
        """Make the study; it bears its name once it is whole, so a process killed on the way leaves no half study."""
        ...

    def attempt(self, act: Callable[[], T]) -> T:
        """What `act` returns, tried again while the database is away or held for a moment.

        Args:
            act: reads, or a transaction that leaves nothing behind when it fails and does no harm when done twice.

        Raises:
            StorageError: the database stays away, or takes no writes; the message says why.
        """
        ...

    def add_trial(self, study_id: int, trial: FrozenTrial, unique: str) -> tuple[int, int]:
        """Store a new trial without values.

        Args:
            study_id: the database's key of the study.
            trial: as `create_trial` makes it.
            unique: a user attribute of it that no other trial of the study has.

        Returns:
            The database's key of the trial, and its number in the study.
        """
        ...

    def set_attributes(self, trial_id: int, attributes: Attributes) -> None:
        """Store user attributes of a trial, all or none of them."""
        ...

    def end_trial(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> None:
        """End a trial, with its values where it is complete."""
        ...

    def hurry(self) -> None:
        """Wait for a database that is away no more: whoever waits for the search wants it to end."""
        ...

    def hold(self) -> None:
        """Become the study's one driver, beside the lock on its folder.

        Raises:
            StudyHeldError: another process drives it; the message says which.
        """
        ...

    def sign(self) -> None:
        """Say in the study, which is there by now, who its driver is."""
        ...

    def release(self) -> None:
        """Be its driver no more; doing so twice does nothing."""
        ...

    def is_driven(self) -> bool:
        """Whether some process drives the study now."""
        ...

    def request_stop(self) -> None:
        """Ask whoever drives the study to end in order."""
        ...

    def take_stop_request(self) -> bool:
        """Whether somebody has asked the driver, which calls this, to end since the last time."""
        ...

    def close(self) -> None:
        """Give the database's connections back."""
        ...
