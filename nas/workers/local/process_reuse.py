"""Number of jobs that a worker process runs before it is replaced."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

AUTO_JOBS = 50
START_SHARE = 0.05


@dataclass(frozen=True)
class ProcessReuse:
    """Limit on the jobs that a worker process runs one after the other.

    A fresh process for each job confines leaks to that job. It costs memory that is copied from the fork server, and
    the first-time work of torch, Lightning and CUDA.

    Attributes:
        jobs: maximum number of jobs of a process, at least 1.
        adaptive: replace the process earlier if its start cost at most 5 % of the job that it has just ended.

    Raises:
        ValueError: `jobs` is below 1.
    """

    jobs: int = 1
    adaptive: bool = False

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise ValueError(f"a worker process must run at least 1 job, got {self.jobs}")

    def keeps(self, jobs_done: int, start: float | None, last_job: float) -> bool:
        """Return whether a process stays for another job.

        Args:
            jobs_done: jobs that it has ended, the last one included.
            start: seconds that its start cost, see `start_seconds`; None if unknown.
            last_job: seconds of the last job.
        """
        start_is_costly = not self.adaptive or start is None or start > START_SHARE * last_job
        return jobs_done < self.jobs and start_is_costly


ONE_JOB = ProcessReuse()


def start_seconds(ready: float, epochs: Sequence[float]) -> float | None:
    """Return the cost of a process' start: the time until it was ready, plus the excess of its first epoch.

    Args:
        ready: processor seconds from the fork until the process could take its first job; wall-clock seconds would
            include the start of the fork server.
        epochs: seconds from that job's start to the end of its first epoch, then from each epoch's end to the next.

    Returns:
        Seconds; None for fewer than two epochs, as the first has then nothing to be compared with.

    >>> start_seconds(0.25, [1.75, 0.5, 0.5, 0.5])
    1.5
    """
    return ready + max(0.0, epochs[0] - statistics.median(epochs[1:])) if len(epochs) > 1 else None
