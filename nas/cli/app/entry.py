"""Entry point `nas COMMAND [overrides]`: finds the command and passes the overrides to Hydra.

Hydra is imported once the command is known, so that `nas --help` answers at once.
"""

from __future__ import annotations

import difflib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass
from importlib.metadata import version

from nas.cli.app.completion import completed_studies
from nas.cli.app.interrupts import remembered, was_interrupted
from nas.jobs.notice import showing
from nas.jobs.streams import open_standard_streams, output_named

MISTAKE = 2
INTERRUPTED = 130
RUNNING = ("-m", "--multirun", "-cd", "--config-dir")
"""Options with which a command runs."""


@dataclass(frozen=True)
class Command:
    """Command of the program; its name is also that of its primary configuration, `conf/NAME.yaml`.

    Attributes:
        module: module with `run(config) -> int`, whose argument is of the command's class in `nas.config.commands`.
        summary: its purpose, in one line.
    """

    module: str
    summary: str


COMMANDS: Mapping[str, Command] = {
    "search": Command(
        "nas.cli.search", "run a search, or resume it: the same command continues up to the total budget"
    ),
    "estimate": Command("nas.cli.estimate", "time, memory, disk and trainings of a search, before it is run"),
    "measure": Command("nas.cli.measure", "latency of networks on this device, or a model of it for latency_ms"),
    "status": Command("nas.cli.status", "state of a study: trials, failures, hypervolume, time"),
    "stop": Command("nas.cli.stop", "stop a running search; it can be resumed later"),
    "front": Command("nas.cli.front", "Pareto front of a study, with accuracy and costs"),
    "studies": Command("nas.cli.studies", "all studies of a folder: state, trials, best network, hypervolume, age"),
    "compare": Command(
        "nas.cli.compare", "several studies: fronts in one picture, hypervolume at equal training: nas compare A B"
    ),
    "ui": Command("nas.cli.ui", "live page about a study, or about all of them, on 127.0.0.1 only"),
    "report": Command("nas.cli.report", "one self-contained HTML file about a study"),
    "figures": Command("nas.cli.figures", "pictures of a study for a paper, as PNG, SVG and PDF files"),
    "dashboard": Command("nas.cli.dashboard", "optuna-dashboard on a study, on 127.0.0.1 only"),
    "sync": Command("nas.cli.sync", "upload a study to its tracker after the search: nas sync study=S"),
    "import": Command(
        "nas.cli.import_results", "results of trainings made elsewhere, as trials of a study: nas import study=S FILE"
    ),
    "describe": Command(
        "nas.cli.describe", "a search space (size, costs, share within limits), or one network, block by block"
    ),
    "retrain": Command(
        "nas.cli.retrain", "train picked networks in full over several seeds, and evaluate them on the test part"
    ),
    "tabulate": Command(
        "nas.cli.tabulate", "train every architecture of a small space over seeds, into a table of learning curves"
    ),
    "rehearse": Command(
        "nas.cli.rehearse", "simulate a search strategy on a table of learning curves, in seconds, and score it"
    ),
    "export": Command("nas.cli.export", "export picked networks to files: weights, source, ONNX, each checked"),
    "evaluate": Command("nas.cli.evaluate", "scores of an exported network on the test part of an image set"),
    "finetune": Command(
        "nas.cli.finetune", "train an exported or a published network on other images, with a classifier for them"
    ),
    "predict": Command("nas.cli.predict", "classes of image files by an exported network: nas predict model=DIR IMAGE"),
    "doctor": Command("nas.cli.doctor", "versions, devices, storage, network, tracker, data: all that a search needs"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments after `nas`; None takes those of the process.

    Returns:
        The exit code: 0 for success, 2 for a user error, which one line on standard error explains, 130 for Ctrl-C.
    """
    open_standard_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in {"--help", "-h", "help"}:
        return _print(_overview())
    if words[0] == "--version":
        return _print(f"nas {version('inception-nas')}")
    if words[0] in {"-sc", "--shell-completion"}:
        return _complete(words)
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        print(f"nas: {_unknown(name)}", file=sys.stderr)
        return MISTAKE
    return _run(name, rest)


def _print(text: str) -> int:
    """Print to standard output; return the exit code."""
    try:
        with output_named():
            print(text)
    except OSError as error:
        sys.stderr.write(f"nas: {error.strerror}: {error.filename}\n")
        return MISTAKE
    return 0


def _run(name: str, words: Sequence[str]) -> int:
    try:
        with remembered(), nullcontext() if _prints_at_once(words) else showing(f"nas {name}: loading"):
            from nas.cli.app.application import run  # noqa: PLC0415 - imports Hydra

            code = run(name, COMMANDS[name].module, words)
            return INTERRUPTED if was_interrupted() else code
    except KeyboardInterrupt:
        return INTERRUPTED


def _prints_at_once(words: Sequence[str]) -> bool:
    """Return whether Hydra prints instead of the command, as for `--cfg`."""
    return any(word.startswith("-") and word.partition("=")[0] not in RUNNING for word in words)


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "nas: accuracy-versus-cost Pareto fronts of Inception networks.",
            "",
            "Usage: nas COMMAND [key=value ...] [options]",
            "",
            "Commands:",
            *lines,
            "",
            "`nas COMMAND --help` lists its settings. `nas --version` prints the version.",
            'Tab completion in bash: eval "$(nas -sc install=bash)"',
        ]
    )


def _unknown(name: str) -> str:
    nearest = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(COMMANDS)}"
    return f"no command {name!r}: {hint}"


def _complete(words: Sequence[str]) -> int:
    """Complete a line: names of commands here, overrides by Hydra, which sees the line without the command."""
    if not any(word.startswith("query=") for word in words):
        return _run("search", words)
    line = os.environ.get("COMP_LINE", "")
    typed = line.split()
    if len(typed) < 2 or (len(typed) == 2 and not line.endswith(" ")):
        start = typed[1] if len(typed) == 2 else ""
        print(" ".join(name for name in COMMANDS if name.startswith(start)))
        return 0
    if typed[1] not in COMMANDS:
        return 0
    if (studies := completed_studies(typed, started=not line.endswith(" "))) is not None:
        print(" ".join(studies))
        return 0
    program, after = line.split(maxsplit=1)
    os.environ["COMP_LINE"] = f"{program} {after.removeprefix(typed[1]).lstrip()}"
    with redirect_stderr(io.StringIO()):  # an incomplete line is no error yet
        return _run(typed[1], words)
