"""Configuration of the database of a study."""

from __future__ import annotations

from dataclasses import dataclass

from nas.config.ranges import check_fields, show

STORAGES = ("sqlite", "postgres")


@dataclass(frozen=True)
class StorageSpec:
    """Database of a study.

    Attributes:
        kind: `sqlite`, a file in the study's folder, or `postgres`, a database whose URL is in the environment variable
            NAS_STORAGE_URL.

    Raises:
        ValueError: an unknown kind.
    """

    kind: str = "sqlite"

    def __post_init__(self) -> None:
        check_fields(self, "storage")
        if self.kind not in STORAGES:
            raise ValueError(f"storage.kind must be one of {', '.join(STORAGES)}, got {show(self.kind)}")
