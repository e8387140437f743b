"""A study of which nothing is left when the process ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, final

from optuna.storages import BaseStorage, InMemoryStorage

from nas.stores.store import Fill

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

    def attempt(self, act: Callable[[], T], landed: Callable[[], T | None] | None = None) -> T:  # noqa: ARG002 - memory is never away
        """What `act` returns."""
        return act()

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
