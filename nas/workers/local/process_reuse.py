"""How many jobs a child serves before a fresh one takes its place."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

AUTO_JOBS = 50
WORTH = 0.05


@dataclass(frozen=True)
class Tenure:
    """How long a child serves.

    A fresh child a job makes whatever a job leaves behind a matter of that job alone. What it costs is memory that is
    copied from the fork server, and all that torch, Lightning and CUDA do the first time.

    Attributes:
        jobs: jobs that a child serves at most, at least 1.
        if_worth: the child goes earlier where its start cost at most 5 % of the job that it has just done.

    Raises:
        ValueError: no job at all.
    """

    jobs: int = 1
    if_worth: bool = False

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError(f"a child serves at least 1 job, got {self.jobs}")

    def goes_on(self, served: int, start: float | None, took: float) -> bool:
        """Whether a child stays for another job.

        Args:
            served: jobs that it has done, the last one included.
            start: seconds that its start has cost, see `start_seconds`; None where that is not known.
            took: seconds of the last job.
        """
        worth = not self.if_worth or start is None or start > WORTH * took
        return served < self.jobs and worth


ONE_JOB = Tenure()


def start_seconds(ready: float, epochs: Sequence[float]) -> float | None:
    """What a child's start has cost: until it was ready, and by how much its first epoch took longer.

    Args:
        ready: processor seconds from the child's fork until it could take its first job; the clock's would count the
            start of the fork server too.
        epochs: seconds from that job's start to the end of its first epoch, then from each epoch's end to the next.

    Returns:
        Seconds; None where a single epoch has nothing to be compared with.

    >>> start_seconds(0.25, [1.75, 0.5, 0.5, 0.5])
    1.5
    """
    return ready + max(0.0, epochs[0] - statistics.median(epochs[1:])) if len(epochs) > 1 else None
