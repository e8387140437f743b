"""Exports, retrainings and fine-tunings that are killed at random moments: the files that they leave.

Two networks are searched on digits. Then each command runs over and over in a process group of its own that is killed
(SIGKILL): in turn at any moment, while the bundle is written, and just when it is complete and moves into place.
Exports are of the two networks in turn, to one folder, in which a link lies in the place of a file, and beside which a
link has the name of a temporary folder. After each kill every file under a final name must be whole, all files of a
bundle of one network, `checks.json` only where all are there, and whatever the links point to as it was. A last run,
which is not killed, must leave no temporary file or folder of the runs before. Processes are forked, so that most of
their time is the command's own. Exits with 1 if anything is missed.

    python benchmarks/export_kills.py [--kills 30] [--commands export,retrain,finetune] [--formats source,hub]
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from safetensors import safe_open
from sklearn.datasets import load_digits

import nas.exports.exporter
import nas.exports.finetuned  # both are loaded before the processes are forked
from nas.cli import main as nas
from nas.exports.format import ARCHITECTURE, CHECKS
from search_space.documents import graph_of
from search_space.identity import network_id

MOMENTS = ("any", "writing", "moving")
TEMPORARY = re.compile(r".*\.part(ial)?|\.isolated-.*")
LINKED = "network.svg"
PLANTED = ".bundle-00000000.partial"
LONGEST = 3600.0
"""Seconds until a run is given up."""


@dataclass
class Command:
    """Command that is killed.

    Attributes:
        name: its name.
        words: its words in each of the runs, in turn.
        folder: folder that it writes.
        seconds: time of a whole run.
        kills: kills by moment, of runs that had not ended.
    """

    name: str
    words: Sequence[Sequence[str]]
    folder: Path
    seconds: float = 0.0
    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MOMENTS, 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--commands", default="export,retrain,finetune")
    parser.add_argument("--formats", default="source,hub")
    given = parser.parse_args()
    torch.set_num_threads(1)
    faults: list[str] = []
    table = Table("command", "seconds of a run", *(f"killed: {moment}" for moment in MOMENTS), "faults", box=None)
    with tempfile.TemporaryDirectory(prefix="export-kills-") as scratch:
        for command in commands(Path(scratch), given.commands.split(","), given.formats):
            found = [f"{command.name}: {fault}" for fault in killed(command, given.kills, Path(scratch))]
            kills = [str(command.kills[moment]) for moment in MOMENTS]
            table.add_row(command.name, f"{command.seconds:.1f}", *kills, str(len(found)))
            faults += found
    console = Console(width=160)
    console.print(table)
    for fault in faults:
        console.print(fault, markup=False)
    console.print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    if faults:
        raise SystemExit(1)


def commands(root: Path, names: Sequence[str], formats: str) -> Iterator[Command]:
    """Yield the commands, after the search that they need."""
    study, bundle, plain = f"study={root / 'study'}", root / "export" / "bundle", "format=json"
    few = ("budget.trials=2", "training.epochs=2", "fidelity=full", "workers.keep=all", "workers.slots=1")
    run(["search", study, *few, "tracking=none"])
    pictures(root / "pictures")
    words = [["export", study, f"pick={n}", f"output={bundle}", f"formats=[{formats}]", plain] for n in (0, 1)]
    bundle.parent.mkdir()
    if "export" in names:
        yield Command("export", words, bundle)
    if "retrain" in names:
        few = ("pick=0", "seeds=2", "training.epochs=4", "workers.slots=1")
        yield Command("retrain", [["retrain", study, *few, plain]], root / "study" / "retrain")
    if "finetune" in names:
        if not (bundle / CHECKS).exists():
            run(words[0])
        few = ("data.flip=false", "seeds=1", "training.epochs=3", "workers.slots=1", "formats=[safetensors]")
        images, place = f"data.path={root / 'pictures'}", root / "tuned" / "bundle"
        yield Command("finetune", [["finetune", f"model={bundle}", images, f"output={place}", *few, plain]], place)


def pictures(root: Path) -> None:
    """Write the digits 5 to 9 as pictures, a folder a class."""
    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if label >= 5:
            (root / f"digit{label}").mkdir(parents=True, exist_ok=True)
            Image.fromarray((image * 15.9).astype(np.uint8)).save(root / f"digit{label}" / f"{number:04}.png")


def run(words: Sequence[str], moment: Callable[[], bool] | None = None) -> int | None:
    """Run a command in a process group of its own; kill it as soon as `moment` is true.

    Returns:
        Its exit code, None if it was killed.
    """
    process = os.fork()
    if not process:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        os._exit(int(nas(words) or 0))
    began = time.monotonic()
    while time.monotonic() - began < LONGEST:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if moment is not None and moment():
            break
        time.sleep(0.001)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def killed(command: Command, kills: int, root: Path) -> Iterator[str]:
    """Kill a command over and over, and yield what is not as it must be."""
    generator, began = random.Random(command.name), time.monotonic()
    victim = root / "victim"
    victim.mkdir(exist_ok=True)
    (victim / "mine.txt").write_text("mine")
    first = [command.words[0]] if command.name == "export" else []
    for words in first:
        run(words)
        command.seconds = time.monotonic() - began
    for number in range(kills):
        plant(command.folder, victim)
        moment = MOMENTS[number % (len(MOMENTS) if command.name == "export" else 1)]
        reached = Reached(command, moment, generator.random())
        if run(command.words[number % len(command.words)], reached) is None:
            command.kills[moment] += 1
        else:
            command.seconds = reached.seconds
            if command.name != "export":  # which otherwise finds nothing left to do
                shutil.rmtree(command.folder)
        time.sleep(0.2 if command.name == "export" else 0.7)  # workers that outlive their driver end by themselves
        yield from (f"kill {number}: {fault}" for fault in faults_of(command.folder))
        if [path.name for path in victim.iterdir()] != ["mine.txt"] or (victim / "mine.txt").read_text() != "mine":
            yield f"kill {number}: what a link points to must stay as it was"
    if (code := run(command.words[0])) != 0:
        yield f"the last run must end with 0, it ends with {code}"
    yield from faults_of(command.folder)
    left = [path for path in root.rglob("*") if TEMPORARY.fullmatch(path.name) and not path.is_symlink()]
    yield from (f"temporary files must be swept by the next run, {path.relative_to(root)} is left" for path in left)
    mask = os.umask(0)
    os.umask(mask)
    for path in (path for path in command.folder.iterdir() if path.is_file()):
        if path.stat().st_mode & 0o777 != 0o666 & ~mask:
            yield f"{path.name} must have the mode that the umask leaves, it has {path.stat().st_mode & 0o777:o}"


class Reached:
    """Moment at which a run is killed."""

    def __init__(self, command: Command, moment: str, share: float) -> None:
        """Wait for a share, in [0, 1), of the time of a run, or of the time that begins with `moment`."""
        self._command, self._moment, self._share = command, moment, share
        self._began, self._until = time.monotonic(), 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def __call__(self) -> bool:
        """Return whether it is reached."""
        if not self._until:
            self._until = self._end()
        return bool(self._until) and time.monotonic() >= self._until

    def _end(self) -> float:
        whole = self._command.seconds or 20.0
        if self._moment == "any":
            return self._began + whole * self._share
        asides = [path for path in self._command.folder.parent.glob(".*.partial") if path.name != PLANTED]
        if self._moment == "writing" and asides:
            return time.monotonic() + whole * self._share / 2
        if self._moment == "moving" and any((path / CHECKS).exists() for path in asides):
            return time.monotonic() + 0.03 * self._share
        return 0.0


def plant(folder: Path, victim: Path) -> None:
    """Put links where a run writes and where it sweeps."""
    if folder.is_dir() and folder.name == "bundle":
        (folder / LINKED).unlink(missing_ok=True)
        (folder / LINKED).symlink_to(victim / "mine.txt")
    beside = folder.parent / PLANTED
    if folder.parent.is_dir() and not beside.is_symlink():
        beside.symlink_to(victim)


def faults_of(folder: Path) -> Iterator[str]:
    """Yield what is wrong with the files of a folder."""
    owners = set()
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.is_symlink() or any(TEMPORARY.fullmatch(part) for part in path.parts):
            continue
        try:
            owner = content_of(path)
        except Exception as error:  # whatever is wrong with it, it is told
            yield f"{path.name} must be whole: {type(error).__name__}: {error}"
            continue
        owners |= {owner} if path.parent == folder and owner is not None else set()
    if len(owners) > 1:
        yield f"all files of a bundle must be of one network, these are of {len(owners)}"
    checks = folder / CHECKS
    if checks.is_file():
        wanted = {ARCHITECTURE, *json.loads(checks.read_text(encoding="utf-8"))["checks"]}
        if missing := [name for name in sorted(wanted) if not (folder / name).is_file()]:
            yield f"{CHECKS} must stand beside all of its files, {', '.join(missing)} is not there"


def content_of(path: Path) -> str | None:
    """Read a file whole; return the `network_id` of the network that it names, None if it names none."""
    document: Any = None
    match path.suffix:
        case ".json":
            found = json.loads(path.read_text(encoding="utf-8"))
            document = found if path.name == ARCHITECTURE else found.get("architecture")
            if path.name == CHECKS:
                return str(found["network_id"])
        case ".safetensors":
            with safe_open(path, "np") as opened:
                for name in opened.keys():  # noqa: SIM118 - not a mapping
                    opened.get_tensor(name)
                document = json.loads((opened.metadata() or {})["architecture"])
        case ".py":
            text = path.read_text(encoding="utf-8")
            ast.parse(text)
            return text.split("Network ", 1)[1].split(":")[0]
        case ".pt" | ".pt2":
            assert zipfile.ZipFile(path).testzip() is None
        case ".svg":
            assert path.read_text(encoding="utf-8").rstrip().endswith("</svg>")
        case ".md":
            return re.findall(r"network_id: `(\w+)`", path.read_text(encoding="utf-8"))[0]
    return network_id(graph_of(document)) if isinstance(document, dict) else None


if __name__ == "__main__":
    sys.exit(main())
