"""First seconds of the commands: the first thing on the screen, the end, and the first training step of a search.

Each command is a process of its own on a terminal of its own, and the commands take turns. Times are the medians of the
rounds, after one round that is left out and warms the system's cache of files: wall seconds from the start of the
process, and processor seconds of the process and its children. The first step of a search is dated by the checkpoint
of an epoch that is one step, so it holds a validation and a write too. Wall seconds tell something on an idle machine
alone; a plain import of the training libraries stands beside them.

    python benchmarks/first_second.py [--rounds 7] [--quick]
"""

from __future__ import annotations

import argparse
import os
import platform
import pty
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

NAS = (sys.executable, "-m", "nas")
LIBRARIES = (sys.executable, "-c", "import torch, torchmetrics, pytorch_lightning")
STEP = "outputs/digits-quick/trials/00000/attempt1-epoch001.pt"
SEARCH = ("search", "budget.trials=1", "training.epochs=1", "training.batch_size=2048", "workers.slots=1")
POLL_SECONDS = 0.02
ANSWER, SCREEN, FIRST_STEP = 0.7, 1.0, 6.0
"""Wall seconds that help and completion, the first thing on the screen, and the first step may take."""


@dataclass(frozen=True)
class Arm:
    """Command that is measured.

    Attributes:
        name: its name in the table.
        words: its words.
        line: what is completed, for a completion.
        step: file that is there after the first training step, None for a command that does not train.
        ends_within: wall seconds that it may take in all, None for any time.
    """

    name: str
    words: tuple[str, ...]
    line: str | None = None
    step: str | None = None
    ends_within: float | None = None


@dataclass(frozen=True)
class Times:
    """Times of one run, in seconds.

    Attributes:
        screen: from the start to the first byte on the terminal.
        step: from the start to the file of the first step, None without one.
        wall: from the start to the end.
        processor: of the process and its children.
    """

    screen: float
    step: float | None
    wall: float
    processor: float


def arms() -> list[Arm]:
    """Return the commands in the order of the table; the last ones read the study that the search makes."""
    told = {
        "search samplr=tpe": ["search", "samplr=tpe"],
        "search budget.trials=0": ["search", "budget.trials=0"],
        "search data.path=/absent": ["search", "data=image_folder", "data.path=/absent"],
        "search start=[absent]": ["search", "start=[absent]"],
        "front study=absent": ["front", "study=absent"],
        "retrain study=absent": ["retrain", "study=absent"],
        "export study=absent": ["export", "study=absent"],
    }
    return [
        Arm("import torch, torchmetrics, pytorch_lightning", LIBRARIES),
        Arm("nas --help", (*NAS, "--help"), ends_within=ANSWER),
        Arm("nas search --help", (*NAS, "search", "--help"), ends_within=ANSWER),
        Arm("completion of a command", (*NAS, "-sc", "query=bash"), line="nas sea", ends_within=ANSWER),
        Arm("completion of an option", (*NAS, "-sc", "query=bash"), line="nas search sampler=t", ends_within=ANSWER),
        *(Arm(f"nas {name}", (*NAS, *words)) for name, words in told.items()),
        Arm("nas describe", (*NAS, "describe")),
        Arm("nas search", (*NAS, *SEARCH, "tracking=none"), step=STEP),
        Arm("nas front", (*NAS, "front", "study=digits-quick")),
        Arm("nas status", (*NAS, "status", "study=digits-quick")),
    ]


def run(arm: Arm, folder: Path) -> Times:
    """Run a command on a terminal of its own, and date what it shows and writes."""
    if arm.step is not None:
        shutil.rmtree(folder / "outputs", ignore_errors=True)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **({"COMP_LINE": arm.line} if arm.line else {})}
    began, before = time.perf_counter(), os.times()
    process = subprocess.Popen(
        arm.words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    screen = step = None
    for shown in _screen(ours):
        now = time.perf_counter() - began
        screen = now if shown and screen is None else screen
        step = now if arm.step is not None and step is None and (folder / arm.step).exists() else step
    process.wait()
    wall, after = time.perf_counter() - began, os.times()
    os.close(ours)
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Times(wall if screen is None else screen, step, wall, spent)


def _screen(terminal: int) -> Iterator[bool]:
    """Yield whether something was shown, many times a second, until the terminal is closed."""
    while True:
        ready, _, _ = select.select([terminal], [], [], POLL_SECONDS)
        if not ready:
            yield False
            continue
        try:
            shown = os.read(terminal, 65536)
        except OSError:  # Linux says so when the last process has closed it
            return
        if not shown:
            return
        yield True


def table(times: Mapping[Arm, Sequence[Times]]) -> Table:
    """Return the medians of all commands, with a mark where one is above its bound."""
    found = Table(title=f"medians of {len(next(iter(times.values())))} rounds, seconds; ! is above its bound")
    for heading in ("command", "first on the screen", "first step", "end", "processor"):
        found.add_column(heading, justify="left" if heading == "command" else "right")
    for arm, runs in times.items():
        bounds = (None if arm.words is LIBRARIES else SCREEN, FIRST_STEP, arm.ends_within, None)
        columns: list[Callable[[Times], float | None]] = [
            lambda each: each.screen,
            lambda each: each.step,
            lambda each: each.wall,
            lambda each: each.processor,
        ]
        found.add_row(arm.name, *(_median(map(read, runs), bound) for read, bound in zip(columns, bounds, strict=True)))
    return found


def _median(values: Iterator[float | None], bound: float | None) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return ""
    median = statistics.median(known)
    return f"{median:.2f}{' !' if bound is not None and median > bound else ''}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="one round, and none to warm the cache of files")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else arguments.rounds
    measured: dict[Arm, list[Times]] = {}
    with tempfile.TemporaryDirectory() as name:
        for number in range(rounds if arguments.quick else rounds + 1):
            for arm in arms():
                found = run(arm, Path(name))
                if arguments.quick or number:
                    measured.setdefault(arm, []).append(found)
    console = Console()
    console.print(table(measured), markup=False)
    console.print(
        f"Python {platform.python_version()}, torch {version('torch')}, {platform.machine()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
