"""A real search in a real terminal: the important lines at every size, and nothing left of the display afterwards."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nas.cli.app.compose import conf_dir

SIZES = ((80, 24), *(pytest.param(*size, marks=pytest.mark.slow) for size in ((120, 40), (60, 15))))
PATIENCE = 120.0
ONCE = ("best  trial ", "knee  trial ", "slot 0", "slot 1", "hypervolume 0.", "Pareto front so far, best first")
WORDS = "study=mine tracking=none workers.slots=2 budget.trials=999 training.epochs=48 limits.max_macs=1e5"
DISPLAY = re.compile(r"^(slot \d|best  |knee  |hypervolume \S+ [▁-█]|starting:|stopping |… and \d+ more$)|[━─]{3}")
"""Lines that only the display has."""

pytestmark = [
    pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux for a terminal to search in"),
    pytest.mark.timeout(600),
]


class Terminal:
    """A shell in a window of tmux, of a server of its own."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder

    def tmux(self, *words: str) -> str:
        run = ["tmux", "-L", self.name, "-f", "/dev/null", *words]
        return subprocess.run(run, cwd=self.folder, check=True, capture_output=True, text=True).stdout

    def open(self, width: int, height: int) -> None:
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height), "env PS1='$ ' bash --norc --noprofile")

    def type(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def lines(self, *words: str) -> list[str]:
        return self.tmux("capture-pane", "-p", *words).rstrip("\n").split("\n")

    def wait(self, seen: Callable[[list[str]], bool]) -> list[str]:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            lines = self.lines()
            if seen(lines):
                return lines
            time.sleep(0.3)
        pytest.fail("not seen within the time:\n" + "\n".join(self.lines()))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    found = Terminal(f"nas-{os.getpid()}-{secrets.token_hex(4)}", tmp_path)
    yield found
    subprocess.run(["tmux", "-L", found.name, "kill-server"], check=False, capture_output=True)


def running(lines: list[str]) -> bool:
    """A search that knows the time left, with a job in each slot that has trained an epoch."""
    jobs = [line for line in lines if re.match(r"slot \d", line)]
    known = any(re.search(r"\d+% \d+/999 trials · \d+:\d\d left", line) for line in lines)
    return known and len(jobs) == 2 and all("accuracy" in job for job in jobs)


def whole(lines: list[str]) -> bool:
    """One display, and no line of another one."""
    counts = [sum("% " in line and "/999 trials" in line for line in lines)]
    counts += [sum(line.startswith(begin) for line in lines) for begin in ONCE]
    return set(counts) == {1}


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_search_fits_its_terminal_and_leaves_no_torn_lines(
    width: int, height: int, terminal: Terminal, outputs: Path
) -> None:
    terminal.open(width, height)
    source = shlex.quote(str(conf_dir().parent))
    terminal.type(
        f"PYTHONPATH={source} {sys.executable} -m nas search outputs={outputs} {WORDS}; echo ended=$?", "Enter"
    )
    terminal.wait(lambda lines: any(line.startswith("nas search: ") for line in lines) or running(lines))  # at once
    lines = terminal.wait(running)
    assert len(lines) <= height
    assert whole(lines), lines
    terminal.type("typed", "Enter", "keys")  # none of them may tear the display
    lines = terminal.wait(running)
    assert not [line for line in lines if line.startswith(("typed", "keys"))]
    terminal.type("C-c")
    terminal.wait(lambda lines: any(line.startswith("ended=130") for line in lines))
    left = terminal.lines("-S", "-500", "-J")
    assert not [line for line in left if DISPLAY.search(line) and "more" not in line]
    assert sum(line.startswith("Search ended, interrupted · trials ") for line in left) == 1
    assert "The same command resumes the search where it stopped." in left
    assert any("nas front" in line and "study=mine" in line for line in left)
    assert "^C" not in "".join(left)


@pytest.mark.slow
def test_the_terminal_is_as_it_was_after_a_stop_at_once(terminal: Terminal, outputs: Path) -> None:
    terminal.open(80, 24)
    source = shlex.quote(str(conf_dir().parent))
    terminal.type(
        f"PYTHONPATH={source} {sys.executable} -m nas search outputs={outputs} {WORDS}; echo ended=$?", "Enter"
    )
    terminal.wait(running)
    terminal.type("C-c", "C-c")
    terminal.wait(lambda lines: any(line.startswith("ended=130") for line in lines))
    terminal.type("stty -a | grep -o ' echo '", "Enter")
    terminal.wait(lambda lines: any(line.strip() == "echo" for line in lines))
