"""Classification of exceptions in a training."""

from __future__ import annotations

from pytorch_lightning.utilities.memory import is_oom_error

from nas.jobs import Failure, FailureKind
from nas.jobs.failures import disk_failure
from nas.training.checkpoint import CheckpointError
from nas.training.module import NotFiniteError

_ALLOCATION_FAILED = ("CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED")
_LONGEST_MESSAGE = 500


def classify_failure(error: Exception) -> Failure:
    """Return the kind of failure of an exception, with a message of one line.

    An error of the data is recognised by its class name, `DataError`: this room does not import that one.
    """
    message = " ".join(str(error).split())[:_LONGEST_MESSAGE]
    if isinstance(error, NotFiniteError):
        return Failure(FailureKind.NAN, message)
    if is_out_of_memory(error):
        return Failure(FailureKind.OUT_OF_MEMORY, message or type(error).__name__)
    if isinstance(error, CheckpointError):
        return Failure(FailureKind.CHECKPOINT, message)
    if any(kind.__name__ == "DataError" for kind in type(error).__mro__):
        return Failure(FailureKind.DATA, message)
    return disk_failure(error) or Failure(FailureKind.ERROR, f"{type(error).__name__}: {message}")


def is_out_of_memory(error: Exception) -> bool:
    """Return whether the device's or the machine's memory was exhausted."""
    if isinstance(error, MemoryError) or is_oom_error(error):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _ALLOCATION_FAILED)
