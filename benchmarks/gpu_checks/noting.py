"""Notes of the calls that wait for a GPU."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

SYNCHRONISED = "synchronizing CUDA operation"

Around = Callable[[], AbstractContextManager[None]]


def noting(places: Counter[str]) -> Around:
    """Return a maker of contexts in which calls that wait are counted by file and line."""

    @contextmanager
    def around() -> Iterator[None]:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                yield
            finally:
                torch.cuda.set_sync_debug_mode("default")
        places.update(f"{each.filename}:{each.lineno}" for each in told if SYNCHRONISED in str(each.message))

    return around
