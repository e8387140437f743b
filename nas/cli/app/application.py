"""Hydra application of a command: options, composition, conversion, exit codes."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TextIO

import hydra
from hydra._internal.hydra import Hydra
from hydra._internal.utils import get_args_parser
from omegaconf import DictConfig

from nas.cli.app.bounds import check_yaml_folder
from nas.cli.app.compose import HYDRA_VERSION, conf_dir, convert, group_names, register
from nas.cli.app.help import help_text
from nas.cli.app.mistakes import MISTAKES, explain
from nas.cli.app.overrides import fit, with_words
from nas.cli.app.plugin_folder import add_plugin_folder
from nas.config.commands import ROOTS
from nas.jobs.notice import erase
from nas.jobs.streams import output_named

MISTAKE = 2
PIPE_CLOSED = 141
FULL_ERROR = "HYDRA_FULL_ERROR"


def run(name: str, module: str, words: Sequence[str]) -> int:
    """Run a command and return its exit code.

    A user error is printed as one line on standard error, with HYDRA_FULL_ERROR=1 as a traceback. Any other exception
    is raised.

    Args:
        name: name of the command, a key of `ROOTS`.
        module: module of the command, which has `run(config) -> int`.
        words: command-line arguments after the command's name.
    """
    traced = os.environ.get(FULL_ERROR) == "1"
    try:
        code = _compose_and_run(name, module, words)
        with output_named():
            return code
    except BrokenPipeError:
        _drop_output()
        return PIPE_CLOSED
    except MISTAKES as error:
        if traced:
            raise
        erase()
        with suppress(OSError):  # nobody can be told
            print(f"nas {name}: {explain(error, ROOTS[name])}", file=sys.stderr)
        return MISTAKE


def _compose_and_run(name: str, module: str, words: Sequence[str]) -> int:
    root = ROOTS[name]
    codes: list[int] = []
    mistakes: list[Exception] = []

    def task(composed: DictConfig) -> None:
        if mistakes:
            return
        try:
            if arguments.asks_for_help:
                print(help_text(name, composed))
                return
            config: Any = convert(root, composed)
            command = import_module(module)
            erase()
            codes.append(command.run(config))
        except MISTAKES as error:  # raised below: Hydra would first print a line of its own
            mistakes.append(error)

    arguments = _split(words)
    overrides = fit(with_words(arguments.overrides, root), root, multirun=arguments.multirun)
    if arguments.plugins is not None and arguments.plugins.is_dir():  # else Hydra reports the missing folder
        check_yaml_folder(arguments.plugins, group_names())
        add_plugin_folder(arguments.plugins)  # before the command starts a fork server, which copies the environment
    register(name)
    _prepare_streams()
    with ExitStack() as stack:
        if arguments.multirun:
            # Hydra writes multirun.yaml to the folder of a sweep in any case.
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="nas-"))
            overrides = [f"hydra.sweep.dir='{folder}'", *overrides]
        stack.enter_context(_process([*overrides, *arguments.options]))
        stack.enter_context(_composed_once(arguments))
        application = hydra.main(version_base=HYDRA_VERSION, config_path=str(conf_dir()), config_name=name)(task)
        try:
            application()
        except UnicodeDecodeError as error:  # it does not name the file
            raise ValueError(_not_utf8(arguments.plugins) or str(error)) from error
        except SystemExit as leaving:  # after --help and the like
            return leaving.code if isinstance(leaving.code, int) else 0
    if mistakes:
        raise mistakes[0]
    return max(codes, default=0)


def _not_utf8(folder: Path | None) -> str | None:
    """Return the complaint about the first file of settings in a folder that is not UTF-8."""
    for path in sorted(folder.rglob("*.yaml")) if folder is not None else ():
        try:
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            return f"a file of settings must be UTF-8, {path} is not: {error.reason} at byte {error.start}"
        except OSError:
            continue
    return None


class _Parser(argparse.ArgumentParser):
    """Parser of Hydra's own options that raises instead of exiting."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


@dataclass(frozen=True)
class _Arguments:
    """Words of a command, sorted by kind.

    Attributes:
        options: Hydra's options with their values.
        overrides: `key=value` words.
        multirun: true for a sweep.
        plugins: folder given as `--config-dir`, None without that option.
        asks_for_help: whether `--help` is among the options.
    """

    options: list[str]
    overrides: list[str]
    multirun: bool
    plugins: Path | None
    asks_for_help: bool


def _split(words: Sequence[str]) -> _Arguments:
    """Sort the words of a command; overrides may stand between options.

    Raises:
        ValueError: an unknown or refused option.
    """
    parser = _Parser(add_help=False, prog="nas", parents=[get_args_parser()])
    known = parser.parse_intermixed_args(list(words))
    if known.experimental_rerun is not None:
        raise ValueError("--experimental-rerun reads a pickle, which could run anything: give the overrides again")
    if known.config_name is not None or known.config_path is not None:
        raise ValueError("--config-name and --config-path are set by the command; --config-dir adds options of groups")
    options = list(words)
    for override in known.overrides:
        options.remove(override)
    if known.help:  # before whatever else is asked for
        options = [] if known.config_dir is None else ["--config-dir", known.config_dir]
    return _Arguments(
        options,
        list(known.overrides),
        multirun=not known.help and (known.multirun or "hydra.mode=MULTIRUN" in known.overrides),
        plugins=None if known.config_dir is None else Path(known.config_dir),
        asks_for_help=known.help,
    )


@contextmanager
def _process(arguments: Sequence[str]) -> Iterator[None]:
    """Set the arguments in `sys.argv`, and let Hydra raise errors instead of printing them."""
    argv, full_error = sys.argv, os.environ.get(FULL_ERROR)
    sys.argv = [argv[0], *arguments]
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    finally:
        sys.argv = argv
        if full_error is None:
            del os.environ[FULL_ERROR]
        else:
            os.environ[FULL_ERROR] = full_error


@contextmanager
def _composed_once(arguments: _Arguments) -> Iterator[None]:
    """Let Hydra compose the configuration of a single run once.

    It would compose it before that, which takes 0.15 processor seconds for `nas search`, only to find `hydra.mode`: no
    file of ours sets it.
    """
    if arguments.multirun or arguments.plugins is not None:
        yield
        return
    before = Hydra.get_mode
    Hydra.get_mode = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        Hydra.get_mode = before  # type: ignore[method-assign]


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Handler that writes to the current `sys.stderr`, which a live display may replace."""

    @property
    def stream(self) -> TextIO:
        erase()
        return sys.stderr

    @stream.setter
    def stream(self, _: Any) -> None:
        pass


def _prepare_streams() -> None:
    """Log to standard error, as standard output is for results, and escape characters that a stream cannot encode."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    root = logging.getLogger()
    if not any(isinstance(handler, _StderrHandler) for handler in root.handlers):
        handler = _StderrHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        root.addHandler(handler)
    logging.getLogger("nas").setLevel(logging.INFO)


def _drop_output() -> None:
    """Redirect standard output, whose reader is gone, to null; else Python reports the closed pipe again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
