"""Verdicts on failed jobs: retry, give up or stop, by the kind of the failure and its earlier retries."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import Enum, auto

from nas.jobs import Failure, FailureKind, Job

STOPPING = {
    FailureKind.DATA: "data must stay readable while networks are trained",
    FailureKind.DISK_FULL: "the disk must have room for checkpoints while networks are trained",
    FailureKind.READ_ONLY: "the study's folder must stay writable while networks are trained",
    FailureKind.START: "worker processes must start",
}
"""Kinds of failure that every further training would meet too, with the requirement that each violates."""

START_RETRIES = 1
"""Retries of a job whose process died before it could take it, while no other has ever taken one."""

HANG_RETRIES = 1
"""Retries of a job that missed its deadline."""

UNCOUNTED = (FailureKind.OUT_OF_MEMORY, FailureKind.PARENT)
"""Kinds of failure whose retries are not limited by `retries`: the retry removes the cause, so each occurs once."""

_DISK = {
    errno.ENOSPC: FailureKind.DISK_FULL,
    errno.EDQUOT: FailureKind.DISK_FULL,
    errno.EROFS: FailureKind.READ_ONLY,
    errno.EACCES: FailureKind.READ_ONLY,
    errno.EPERM: FailureKind.READ_ONLY,
}


_EXHAUSTED = (
    "out of memory",  # CUDA, HIP, MPS, XPU; also of errors that arrive later, such as cudaErrorMemoryAllocation
    "not enough memory",
    "can't allocate memory",
    "cannot allocate memory",
    "failed to allocate",
    "bad_alloc",
    "alloc_failed",  # CUDNN_STATUS_, CUBLAS_STATUS_
    "out_of_device_memory",
    "out_of_host_memory",
    "out_of_resources",
)
"""Words of the allocators of torch's backends in a RuntimeError, in small letters."""


class Verdict(Enum):
    """Consequence of a failed job."""

    RETRY = auto()
    """Retry from the last checkpoint."""
    DROP_CHECKPOINT = auto()
    """Set the unreadable checkpoint aside, and retry from an earlier one or from the beginning."""
    HALVE_BATCHES = auto()
    """Retry with every batch cut into twice as many parts."""
    UNPACK = auto()
    """Retry alone: it was trained in a pack."""
    DISINHERIT = auto()
    """Retry from fresh weights, over the whole schedule."""
    STOP = auto()
    """Stop the driver; the trial stays resumable."""
    GIVE_UP = auto()
    """End the trial as failed."""


def verdict(failure: Failure, job: Job, earlier: Mapping[str, int], retries: int) -> Verdict:
    """Return the consequence of a failed job.

    Args:
        failure: reason of the failure.
        job: the job.
        earlier: number of earlier retries of the trial in this run, by kind of failure.
        retries: number of retries allowed in all; after a missed deadline one at most.
    """
    left = retries - sum(count for kind, count in earlier.items() if kind not in UNCOUNTED)
    match failure.kind:
        case FailureKind.START if left > 0 and earlier.get(FailureKind.START, 0) < START_RETRIES:
            return Verdict.RETRY
        case kind if kind in STOPPING:
            return Verdict.STOP
        case FailureKind.OUT_OF_MEMORY if job.micro_batches == 1:
            return Verdict.HALVE_BATCHES
        case FailureKind.PARENT:
            return Verdict.DISINHERIT
        case FailureKind.CHECKPOINT if job.checkpoint is not None and left > 0:
            return Verdict.DROP_CHECKPOINT
        case FailureKind.DIED if left > 0:
            return Verdict.RETRY
        case FailureKind.DEADLINE if left > 0 and earlier.get(FailureKind.DEADLINE, 0) < HANG_RETRIES:
            return Verdict.RETRY
    return Verdict.GIVE_UP


def set_aside(job: Job) -> None:
    """Rename an unreadable checkpoint; do nothing if the file was deleted."""
    if job.checkpoint:
        with suppress(FileNotFoundError):
            job.checkpoint.replace(job.checkpoint.with_suffix(".unreadable"))


def disk_failure(error: BaseException) -> Failure | None:
    """Return the failure of an error while writing a file, None for any other error.

    The whole exception chain is searched, since torch's archive writer raises an error of its own after the system's.
    """
    for link in exception_chain(error):
        if isinstance(link, OSError) and link.errno in _DISK:
            named = "" if link.filename is None else f": {link.filename}"
            return Failure(_DISK[link.errno], f"{link.strerror}{named}")
    return None


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether the memory of the machine or of a device was exhausted, by type or by the library's own words.

    The whole exception chain is searched.
    """
    return any(_exhausted(link) for link in exception_chain(error))


def _exhausted(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    if any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):  # torch's; this room does without it
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _EXHAUSTED)


def exception_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, then its cause or the error during whose handling it was raised, and so on."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__
