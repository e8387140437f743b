"""Growth of the driver's resident memory and open file descriptors over a real search.

Two slots train small shares of the embedded digits for one epoch a trial, with the default sampler. Both are read after
every tenth trial.

    python benchmarks/driver_memory.py [--trials 200] [--from 20]
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from nas.cli.app.compose import compose
from nas.reports.console import LineObserver
from nas.search import build
from nas.study.progress import Progress
from nas.study.trial import Record

EVERY = 10
KIB_A_MIB = 1024


class Gauge(LineObserver):  # type: ignore[misc]  # final in nas; here it also measures
    """Observer that reads resident memory in MiB and open descriptors by the number of trials that have ended."""

    def __init__(self) -> None:
        super().__init__(Console(file=io.StringIO()))
        self.readings: dict[int, tuple[float, int]] = {}
        self._ended = 0

    def on_trial(self, record: Record, progress: Progress) -> None:
        """Log the trial, and take a reading after every tenth."""
        super().on_trial(record, progress)
        self._ended += 1
        if self._ended % EVERY == 0:
            self.readings[self._ended] = _resident(), len(os.listdir("/proc/self/fd")) - len(progress.running)


def _resident() -> float:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.split("VmRSS:")[1].split()[0]) / KIB_A_MIB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--from", type=int, default=20, dest="first")
    arguments = parser.parse_args()
    gauge = Gauge()
    words = ["tracking=none", "workers.slots=2", "training.epochs=1", "data.train_fraction=0.1"]
    config: Any = compose("search", [*words, f"budget.trials={arguments.trials}"])
    plan = build.prepare(config)
    with tempfile.TemporaryDirectory() as folder:
        build.assemble(plan, build.open_or_create(Path(folder), plan), [gauge]).run()
    table = Table(title="The driver, by trials that have ended")
    for heading in ("trials", "resident (MiB)", "descriptors beside those of running jobs"):
        table.add_column(heading, justify="right")
    for ended, (resident, descriptors) in gauge.readings.items():
        table.add_row(str(ended), f"{resident:.1f}", str(descriptors))
    console = Console()
    console.print(table)
    (before, open_before), (after, open_after) = gauge.readings[arguments.first], gauge.readings[max(gauge.readings)]
    console.print(
        f"from trial {arguments.first} to {max(gauge.readings)}: {after - before:+.1f} MiB, "
        f"{open_after - open_before:+d} descriptors; load {os.getloadavg()[0]:.1f}"
    )
    console.print(
        f"Python {platform.python_version()}, Optuna {version('optuna')}, {platform.machine()}, {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
