"""Classification of exceptions in a training."""

from __future__ import annotations

from nas.jobs import Failure, FailureKind
from nas.jobs.failures import disk_failure, is_out_of_memory
from nas.training.checkpoint_file import CheckpointError
from nas.training.scores import NotFiniteError

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
