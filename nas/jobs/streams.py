"""Standard streams: of a process that was started without them, and where they take no more."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def open_standard_streams() -> None:
    """Open those of the three standard streams that are closed, on the null device.

    A daemon may start a program without them. The next file that is opened would take the number of one, and receive
    what is printed; a process started from here would have none either.
    """
    for number, (name, mode) in enumerate(STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for as long as the process


@contextmanager
def output_named() -> Iterator[None]:
    """Name standard output in the error of a write to it, and write what is held back at the end of the block.

    Raises:
        OSError: it takes no more; Python raises no second one at its exit.
    """
    try:
        yield
        sys.stdout.flush()  # raises here, not at exit, if the reader has closed the pipe or the disk is full
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.filename is None:
            error.filename = "standard output"
        raise
