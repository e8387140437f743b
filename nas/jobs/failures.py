"""What becomes of a trial whose job failed: by the kind of its failure, and by how often that kind was met before."""

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
}
"""What every further trial would meet too, with the law that it breaks."""

HANG_RETRIES = 1
_DISK = {
    errno.ENOSPC: FailureKind.DISK_FULL,
    errno.EDQUOT: FailureKind.DISK_FULL,
    errno.EROFS: FailureKind.READ_ONLY,
    errno.EACCES: FailureKind.READ_ONLY,
    errno.EPERM: FailureKind.READ_ONLY,
}


class Verdict(Enum):
    """What to do about a failed job."""

    AGAIN = auto()
    """Hand the trial out once more, from its last checkpoint."""
    ANEW = auto()
    """Set the checkpoint aside, and go on from what is left."""
    SMALLER = auto()
    """Hand it out once more with every batch in twice as many parts."""
    DISINHERIT = auto()
    """Hand it out once more with fresh weights, over the whole schedule."""
    STOP = auto()
    """End the search in order; the trial stays resumable."""
    FAIL = auto()
    """Give the trial up."""


def verdict(failure: Failure, job: Job, earlier: Mapping[str, int], retries: int) -> Verdict:
    """What to do about a failed job.

    Args:
        failure: why it failed.
        job: the job.
        earlier: how often the trial was tried again in this run, by kind of failure.
        retries: how often it may be tried again in all; a hang is tried again once at most.
    """
    left = retries - sum(
        count for kind, count in earlier.items() if kind not in {FailureKind.OUT_OF_MEMORY, FailureKind.PARENT}
    )
    match failure.kind:
        case kind if kind in STOPPING:
            return Verdict.STOP
        case FailureKind.OUT_OF_MEMORY if job.micro_batches == 1:
            return Verdict.SMALLER
        case FailureKind.PARENT:
            return Verdict.DISINHERIT
        case FailureKind.CHECKPOINT if job.checkpoint is not None and left > 0:
            return Verdict.ANEW
        case FailureKind.DIED if left > 0:
            return Verdict.AGAIN
        case FailureKind.DEADLINE if left > 0 and earlier.get(FailureKind.DEADLINE, 0) < HANG_RETRIES:
            return Verdict.AGAIN
    return Verdict.FAIL


def set_aside(job: Job) -> None:
    """Keep an unreadable checkpoint under another name; one that somebody deleted needs none."""
    if job.checkpoint:
        with suppress(FileNotFoundError):
            job.checkpoint.replace(job.checkpoint.with_suffix(".unreadable"))


def disk_failure(error: BaseException) -> Failure | None:
    """The failure that `error` is when a file could not be written, None for any other error.

    torch's writer of archives raises an error of its own after the system's, so that one is looked for behind it.
    """
    for link in exception_chain(error):
        if isinstance(link, OSError) and link.errno in _DISK:
            named = "" if link.filename is None else f": {link.filename}"
            return Failure(_DISK[link.errno], f"{link.strerror}{named}")
    return None


def exception_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, then its cause or the error during whose handling it was raised, and so on."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__
