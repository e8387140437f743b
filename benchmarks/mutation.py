"""Mutation testing: the share of small changes of a module that the tests of its room notice.

Each mutant (`mutants.py`) is loaded in the place of its module, in a process that is forked from one which has the
libraries loaded; no file is changed. There the tests of the room run up to the first failure, with fixed draws of
hypothesis. A failing test kills the mutant, and so does processor time beyond ten times that of the unchanged module.
A survivor is a missing test, or equivalent to the module: such ones are explained, by their text, in
`results/mutation_explained.json`. Known outcomes stand in a file of JSON lines, and are asked again only for a survivor
whose tests changed.

    python benchmarks/mutation.py [--rooms graph cost pareto improvement belief] [--sample 60] [--seed 0]
        [--rows outputs/mutation.jsonl]

Takes some seconds a mutant; `--sample 0` takes all of them. Ends with status 1 if a survivor is not explained.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import platform
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType

import pytest
from hypothesis import settings
from mutants import Mutant, mutants_of
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
EXPLAINED = Path(__file__).resolve().parent / "results/mutation_explained.json"
LIBRARIES = (
    "numpy",
    "scipy.optimize",
    "scipy.special",
    "scipy.stats",
    "moocore",
    "torch",
    "optuna",
    "hypothesis.extra.numpy",
)
"""Loaded before the processes are forked; nothing of the project is."""
PATIENCE = 10
"""Processor time of a mutant's tests, as a multiple of that of the unchanged module, after which it is killed."""
LEAST_LIMIT, WALL = 20, 20
"""Least limit in seconds, and the clock's limit as a multiple of the processor's."""
MOST_MEMORY = 8 * 2**30


@dataclass(frozen=True)
class Room:
    """Modules that are mutated, and the tests that should notice; paths from the root of the repository."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]


Key = tuple[str, str, str, str]

SPACE = "tests/search_space"
ROOMS = {
    "graph": Room(
        ("search_space/graph.py",),
        tuple(f"{SPACE}/test_{name}.py" for name in ("graph", "leaves", "cost", "identity", "network")),
    ),
    "cost": Room(
        ("search_space/cost.py",), tuple(f"{SPACE}/test_{name}.py" for name in ("cost", "activation_memory", "limits"))
    ),
    "pareto": Room(
        ("nas/objectives/pareto.py",), ("tests/nas/objectives/test_pareto.py", "tests/nas/objectives/test_axes.py")
    ),
    "improvement": Room(
        ("nas/objectives/expected_improvement.py",), ("tests/nas/objectives/test_expected_improvement.py",)
    ),
    "belief": Room(
        tuple(f"nas/study/belief/{name}.py" for name in ("believer", "features", "gaps", "gp", "stored", "surrogate")),
        ("tests/nas/study/belief",),
    ),
}


@dataclass(frozen=True)
class Outcome:
    """Outcome of one mutant.

    Attributes:
        room: name of the room.
        module: path of the module.
        line: line of the change.
        place: function or class around it.
        before: code line of the change.
        after: the same, changed.
        outcome: `killed`, `timeout` or `survived`.
        by: first test that failed, empty if none did.
        seconds: processor seconds of the tests.
        tests: digest of the tests' files.
    """

    room: str
    module: str
    line: int
    place: str
    before: str
    after: str
    outcome: str
    by: str
    seconds: float
    tests: str

    @property
    def key(self) -> Key:
        """Identity of the mutant, whatever its line."""
        return self.module, self.place, self.before, self.after


class MutatedModule(MetaPathFinder, SourceFileLoader):
    """Finder and loader of one module of the project with another source."""

    def __init__(self, path: str, source: str) -> None:
        super().__init__(path.removesuffix(".py").replace("/", "."), str(ROOT / path))
        self._source = source

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:  # type: ignore[override]  # noqa: ARG002
        """Return the changed module's specification, None for every other module."""
        return spec_from_loader(name, self, origin=self.path) if name == self.name else None

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - one module
        """Return the code of the changed source."""
        return compile(self._source, self.path, "exec")


class FirstFailure:
    """Plug-in of pytest that writes the name of the first failing test to a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a failure."""
        if report.failed and not self._file.exists():
            self._file.write_text(report.nodeid)


def run_tests(room: Room, changed: MutatedModule | None, limit: int, folder: Path) -> tuple[int, str, float]:
    """Run a room's tests in a forked process.

    Returns:
        Status of pytest, or minus the signal that ended the process; the first failing test; processor seconds.
    """
    note = folder / "failed"
    note.unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        _be_child(room, changed, limit, note)
    ended = time.monotonic() + WALL * limit
    found = 0
    while not found and time.monotonic() < ended:
        time.sleep(0.02)
        found, status, used = os.wait4(child, os.WNOHANG)
    if not found:
        os.killpg(child, signal.SIGKILL)
        _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code, note.read_text() if note.exists() else "", used.ru_utime + used.ru_stime


def _be_child(room: Room, changed: MutatedModule | None, limit: int, note: Path) -> None:
    """Run the tests and end the process."""
    code = 70
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
        out = os.open(note.with_name("output"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        if changed is not None:
            sys.meta_path.insert(0, changed)
        settings.register_profile("mutation", derandomize=True, deadline=None, database=None)
        settings.load_profile("mutation")
        options = ["-x", "-q", "-o", "addopts=", "--import-mode=importlib", "-m", "not slow", "-p", "no:cacheprovider"]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is loaded already
        code = int(pytest.main([*options, *room.tests], plugins=[FirstFailure(note)]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def outcome_of(name: str, module: str, mutant: Mutant, limit: int, digest: str, folder: Path) -> Outcome:
    """Return the outcome of one mutant."""
    code, by, seconds = run_tests(ROOMS[name], MutatedModule(module, mutant.source), limit, folder)
    out_of_time = code in {-signal.SIGXCPU, -signal.SIGKILL}
    outcome = "timeout" if out_of_time else "survived" if code == 0 else "killed"
    where = (name, module, mutant.line, mutant.place)
    return Outcome(*where, mutant.before, mutant.after, outcome, by, round(seconds, 1), digest)


def unchanged(name: str, folder: Path) -> float:
    """Return the processor seconds of a room's tests without a change, which must pass."""
    code, by, seconds = run_tests(ROOMS[name], None, 3600, folder)
    if code:
        raise SystemExit(f"the tests of {name} must pass unchanged, failed {by}:\n{(folder / 'output').read_text()}")
    return seconds


def tests_digest(room: Room) -> str:
    """Return a digest of the files of a room's tests."""
    files = (ROOT / path for path in room.tests)
    found = sorted(file for path in files for file in ([path] if path.is_file() else path.rglob("*.py")))
    return hashlib.sha256(b"".join(file.read_bytes() for file in found)).hexdigest()[:12]


def sampled(room: Room, count: int, seed: int) -> list[tuple[str, Mutant]]:
    """Return mutants of a room's modules, at most `count`, or all for 0, drawn by the seed."""
    every = [(module, mutant) for module in room.modules for mutant in mutants_of((ROOT / module).read_text())]
    random.Random(seed).shuffle(every)
    return every[: count or len(every)]


def read_rows(file: Path) -> dict[Key, Outcome]:
    """Return the known outcomes by mutant, the last of each."""
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {found.key: found for found in (Outcome(**json.loads(line)) for line in lines)}


def outcomes(name: str, count: int, seed: int, file: Path, say: Callable[[str], None]) -> Iterator[Outcome]:
    """Yield the outcome of each sampled mutant of a room; new ones are added to the file."""
    known, room, limit = read_rows(file), ROOMS[name], 0
    digest = tests_digest(room)
    with tempfile.TemporaryDirectory() as temporary:
        for module, mutant in sampled(room, count, seed):
            found = known.get((module, mutant.place, mutant.before, mutant.after))
            if found is None or (found.outcome == "survived" and found.tests != digest):
                limit = limit or max(LEAST_LIMIT, round(PATIENCE * unchanged(name, Path(temporary))))
                found = outcome_of(name, module, mutant, limit, digest, Path(temporary))
                say(f"{found.outcome:8} {found.seconds:5.1f} s  {module}:{mutant.line}  {mutant.after}")
                with file.open("a", encoding="utf-8") as rows:
                    rows.write(json.dumps(asdict(found), ensure_ascii=False) + "\n")
            yield found


def explanations() -> dict[Key, str]:
    """Return why survivors are equivalent to their modules."""
    found = json.loads(EXPLAINED.read_text(encoding="utf-8")) if EXPLAINED.exists() else []
    return {(row["module"], row["place"], row["before"], row["after"]): row["reason"] for row in found}


def show(found: Sequence[Outcome], console: Console) -> list[Outcome]:
    """Print the counts by room and the survivors, and return those that are not explained."""
    reasons = explanations()
    table = Table(title="Mutants")
    for heading in ("room", "mutants", "killed", "out of time", "equivalent", "survived"):
        table.add_column(heading, justify="left" if heading == "room" else "right")
    left = [row for row in found if row.outcome == "survived" and row.key not in reasons]
    for room in dict.fromkeys(row.room for row in found):
        counts = Counter(row.outcome for row in found if row.room == room)
        open_ones = sum(row.room == room for row in left)
        equivalent = counts["survived"] - open_ones
        numbers = (counts.total(), counts["killed"], counts["timeout"], equivalent, open_ones)
        table.add_row(room, *map(str, numbers))
    console.print(table)
    for row in left:
        console.print(f"{row.module}:{row.line}\n    {row.before}\n    {row.after}", markup=False, highlight=False)
    console.print(f"Python {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    return left


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rooms", nargs="+", default=list(ROOMS), choices=list(ROOMS))
    parser.add_argument("--sample", type=int, default=60, help="mutants a room, 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample")
    parser.add_argument("--rows", type=Path, default=ROOT / "outputs/mutation.jsonl", help="file of the outcomes")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    for library in LIBRARIES:
        importlib.import_module(library)
    arguments.rows.parent.mkdir(parents=True, exist_ok=True)
    console = Console()
    found: list[Outcome] = []
    for name in arguments.rooms:
        say = lambda line: console.print(line, markup=False, highlight=False)  # noqa: E731
        found += outcomes(name, arguments.sample, arguments.seed, arguments.rows, say)
    return 1 if show(found, console) else 0


if __name__ == "__main__":
    sys.exit(main())
