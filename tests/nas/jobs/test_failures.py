"""Decisions about failed jobs, and errors of files that can't be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from nas.jobs import Failure, Job
from nas.jobs.failures import STOPPING, Verdict, disk_failure, is_out_of_memory, verdict


def job(begin: int = 0, micro_batches: int = 1) -> Job:
    start = Path("checkpoint") if begin else None
    return Job(0, 1, {}, 0, begin, 5, Path("folder"), start, micro_batches)


@pytest.mark.parametrize(
    ("kind", "given", "earlier", "retries", "expected"),
    [
        ("nan", job(), {}, 2, Verdict.GIVE_UP),
        ("error", job(), {}, 2, Verdict.GIVE_UP),
        ("died", job(), {}, 2, Verdict.RETRY),
        ("died", job(), {"died": 1}, 2, Verdict.RETRY),
        ("died", job(), {"died": 1, "deadline": 1}, 2, Verdict.GIVE_UP),
        ("died", job(), {"out_of_memory": 1}, 1, Verdict.RETRY),
        ("died", job(), {}, 0, Verdict.GIVE_UP),
        ("deadline", job(), {}, 2, Verdict.RETRY),
        ("deadline", job(), {"died": 1}, 2, Verdict.RETRY),
        ("deadline", job(), {"deadline": 1}, 9, Verdict.GIVE_UP),
        ("deadline", job(), {}, 0, Verdict.GIVE_UP),
        ("checkpoint", job(2), {}, 1, Verdict.DROP_CHECKPOINT),
        ("checkpoint", job(2), {"checkpoint": 1}, 1, Verdict.GIVE_UP),
        ("checkpoint", job(0), {}, 1, Verdict.GIVE_UP),
        ("out_of_memory", job(), {}, 0, Verdict.HALVE_BATCHES),
        ("out_of_memory", job(micro_batches=2), {}, 2, Verdict.GIVE_UP),
        ("start", job(), {}, 1, Verdict.RETRY),
        ("start", job(), {"start": 1}, 2, Verdict.STOP),
        *((kind, job(), {}, 0, Verdict.STOP) for kind in STOPPING),
    ],
)
def test_the_kind_and_what_was_tried_decide(
    kind: str, given: Job, earlier: dict[str, int], retries: int, expected: Verdict
) -> None:
    assert verdict(Failure(kind, "why"), given, earlier, retries) is expected


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EROFS, "read_only"),
        (errno.EACCES, "read_only"),
    ],
)
def test_an_error_of_the_disk_is_known_by_its_number(code: int, kind: str) -> None:
    assert disk_failure(OSError(code, os.strerror(code))) == Failure(kind, os.strerror(code))
    assert disk_failure(OSError(code, os.strerror(code), "a.pt")) == Failure(kind, f"{os.strerror(code)}: a.pt")


def test_an_error_of_the_disk_is_found_behind_another_one() -> None:
    error = RuntimeError("unexpected pos 704 vs 598")  # as torch's writer raises it
    error.__context__ = OSError(errno.ENOSPC, "No space left on device")
    assert disk_failure(error) == Failure("disk_full", "No space left on device")


@pytest.mark.parametrize("error", [ValueError("no"), FileNotFoundError(errno.ENOENT, "none"), OSError("no number")])
def test_other_errors_are_none_of_the_disk(error: Exception) -> None:
    assert disk_failure(error) is None


class OutOfMemoryError(RuntimeError):
    """Error with the name of torch's."""


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (OutOfMemoryError("whatever it says"), True),
        (RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9.05 GB)"), True),
        (RuntimeError("XPU out of memory. Tried to allocate 20.00 MiB"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), True),
        (RuntimeError("unable to mmap 64 bytes from file <x>: Cannot allocate memory (12)"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("Native API failed. Native API returns: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)"), True),
        (OSError(12, "Cannot allocate memory"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (RuntimeError("shape '[2]' is invalid for input of size 3"), False),
        (ValueError("an image set must not be out of memory"), False),
        (OSError(28, "No space left on device"), False),
    ],
)
def test_exhausted_memory_is_recognised_by_type_and_by_the_words_of_every_backend(
    error: Exception, expected: bool
) -> None:
    assert is_out_of_memory(error) is expected
    wrapped = RuntimeError("a loader failed")
    wrapped.__cause__ = error
    assert is_out_of_memory(wrapped) is expected
