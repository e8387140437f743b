"""Start of a command: something on the screen, and mistakes told, before the heavy libraries are loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas.cli import main
from nas.cli.app.entry import COMMANDS
from nas.jobs.notice import ERASE, erase, showing

REFUSED = ("torch", "torchmetrics", "pytorch_lightning", "lightning_fabric", "kornia")
PROGRAM = f"""
import contextlib, io, json, sys

class Refuses:
    def find_spec(self, name, path=None, target=None):
        assert name not in {REFUSED}, name + " was imported"

sys.meta_path.insert(0, Refuses())
from nas.cli import main
found = []
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(sys.stderr):
        code = main(words)
    found.append([code, said.getvalue()])
servers = sys.modules.get("nas.workers.local.forked_process")
servers = [each._server.pid for each in servers._SERVERS.values() if each._server] if servers else []
print(json.dumps([found, servers]))
"""

MISTAKES = {
    "search samplr=tpe": "there is no 'samplr' to set; did you mean sampler?",
    "search sampler=tpee": "sampler must be one of",
    "search budget.trials=0": "budget.trials must be positive, got 0",
    "search training.optimizer=adam": "training.optimizer must be one of",
    "search workers.slots=0": "workers.slots must be",
    "search data=image_folder data.path=/absent": "data.path must exist, got /absent",
    "search +sampler.options.foo=1": "known_cost takes",
    "search sampler.options.seconds_power=-1": "sampler.options.seconds_power must be at least 0, got -1",
    "search fidelity=full +fidelity.options.x=1": "full takes",
    "search space.stages=3": "stages must be a list",
    "search limits.max_params=1": "limits.max_params must leave an architecture",
    "search start=[foo]": "start may name",
    "search workers.devices_per_trial=99": "workers.devices_per_trial must be at most the number of slots",
    "search outputs=/proc/absent": "/proc/absent",
    "front study=absent": "no study 'absent'",
    "status study=absent": "no study 'absent'",
    "report study=absent": "no study 'absent'",
    "retrain study=absent": "no study 'absent'",
    "export study=absent": "no study 'absent'",
    "describe architecture=foo": "architecture must be a JSON file or a trial",
    "tabulate workers.devices_per_trial=2": "workers.devices_per_trial must be 1 for a table, got 2",
    "rehearse": "table=FILE must say which table",
    "rehearse table=/absent": "table must be a file that can be read, got /absent",
}


def started(commands: list[list[str]], folder: Path) -> tuple[list[tuple[int, str]], list[int]]:
    """Run commands in a process that can't import torch; return codes, what was said, and the fork servers' numbers."""
    words = [sys.executable, "-c", PROGRAM, json.dumps(commands)]
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    found, servers = json.loads(ended.stdout)
    return [(code, said) for code, said in found], servers


@pytest.mark.slow
def test_mistakes_are_told_before_torch_is_loaded(tmp_path):
    found, servers = started([line.split() for line in MISTAKES], tmp_path)
    for (line, law), (code, said) in zip(MISTAKES.items(), found, strict=True):
        assert (code, said.count("\n")) == (2, 1), (line, said)
        assert law in said
        assert said.startswith(f"nas {line.split()[0]}: ")
    for server in servers:
        with pytest.raises(ProcessLookupError):
            os.kill(server, 0)


def test_help_and_completion_load_no_more_than_hydra(tmp_path, monkeypatch):
    monkeypatch.setenv("COMP_LINE", "nas search sampler=tp")
    heavy = ("numpy", "optuna", "scipy", *REFUSED)
    words = [["search", "--help"], ["-sc", "query=bash"]]
    code = f"import sys\nfrom nas.cli import main\nfor words in {words}: main(words)\nprint()\nprint(*sys.modules)"
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    *shown, modules = text.splitlines()
    assert "sampler=tpe" in "".join(shown[-3:])
    assert not set(heavy) & {name.partition(".")[0] for name in modules.split()}


def test_no_command_needs_torch_to_begin():
    modules = ["nas.cli.common.searches", *(command.module for command in COMMANDS.values())]
    code = f"import sys, importlib\nfor name in {modules}: importlib.import_module(name)\nprint(*sys.modules)"
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not set(REFUSED) & {name.partition(".")[0] for name in text.split()}


@pytest.mark.slow
def test_a_search_trains_though_its_driver_cannot_load_torch(tmp_path):
    words = ["search", "budget.trials=1", "training.epochs=1", "workers.slots=1", "tracking=none", "study=light"]
    ((code, said),), servers = started([words], tmp_path)
    assert code == 0, said
    assert "trial 0 complete" in said
    assert len(servers) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(servers[0], 0)


class Screen:
    """Terminal that keeps what is written, and what was loaded by then."""

    def __init__(self, *, terminal: bool = True) -> None:
        self.terminal = terminal
        self.text = ""

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass

    def fileno(self) -> int:
        return 2


def test_a_terminal_shows_a_line_until_there_is_something_to_say(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    assert main(["front", "study=absent"]) == 2
    assert screen.text.startswith(f"nas front: loading{ERASE}nas front: no study 'absent'")


@pytest.mark.parametrize(("terminal", "kind"), [(False, "xterm"), (True, "dumb")])
def test_no_line_is_shown_that_could_not_be_erased(terminal, kind, monkeypatch):
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setattr(sys, "stderr", screen := Screen(terminal=terminal))
    with showing("loading"):
        pass
    assert screen.text == ""


def test_a_line_is_erased_once(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    with showing("loading"):
        erase()
    assert screen.text == f"loading{ERASE}"


def test_the_configuration_is_printed_without_a_line_before_it(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", screen := Screen())
    assert main(["front", "--cfg", "job"]) == 0
    assert screen.text == ""
    assert capsys.readouterr().out.startswith("study: ")


def test_the_line_is_shown_before_hydra_is_loaded():
    code = """
import sys
class Screen:
    first = None
    def isatty(self): return True
    def write(self, text): Screen.first = Screen.first or (text, sorted(sys.modules))
    def flush(self): pass
sys.stderr = Screen()
from nas.cli import main
main(["front", "format=xml"])
print(Screen.first[0])
print(*Screen.first[1])
"""
    environment = {**os.environ, "TERM": "xterm"}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    shown, modules = ended.stdout.splitlines()
    assert shown == "nas front: loading"
    assert not {"hydra", "omegaconf", "numpy", "torch"} & {name.partition(".")[0] for name in modules.split()}
