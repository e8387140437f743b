"""Errors of the storage of studies."""

from __future__ import annotations


class StorageError(ValueError):
    """The database can't be written to; the study in it is intact and can be resumed later."""


class StudyLockedError(ValueError):
    """Another process drives the study; the message names it."""


class StudyTakenError(StorageError):
    """Another search took the study over while the database was unreachable; the message names it."""
