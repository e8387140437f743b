"""`nas ui`: a live page about studies, on the loopback address."""

from __future__ import annotations

import webbrowser
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nas.cli.report import report_context
from nas.config.commands import UiConfig
from nas.reports.live import Library, serve
from nas.reports.live.entries import Entries
from nas.reports.live.follower import Source
from nas.study.folders import existing_study
from nas.study.storage.factory import make_store, study_names
from nas.study.summary import StudyReader, open_for_reading

SIGNALLED = 128
"""Exit code of a process that a signal ended, less the signal's number."""


def run(config: UiConfig) -> int:
    """Serve the page on 127.0.0.1 until Ctrl-C or SIGTERM.

    Returns:
        130 after Ctrl-C, 143 after SIGTERM.

    Raises:
        ValueError: no study of that name, or the port is taken.
    """
    library = _library(config)

    def started(address: str) -> None:
        what = f"study {library.only}" if library.only else f"the studies of {config.outputs}"
        print(f"{address} shows {what}, until Ctrl-C.", flush=True)
        if config.open:
            webbrowser.open(address)

    return SIGNALLED + serve(library, config.port, started)


def _library(config: UiConfig) -> Library:
    kind = config.storage.kind
    if config.study is not None:
        folder = existing_study(config.study, config.outputs, in_folder=kind == "sqlite")
        opened = [open_for_reading(folder, kind)]  # a mistake is told here, and not on the page
        name = folder.resolve().name

        def source(_: str) -> Source:
            return _source(name, lambda: opened.pop() if opened else open_for_reading(folder, kind), config)

        entries = Entries(lambda _: _version(folder, kind), lambda _: open_for_reading(folder, kind))
        return Library(lambda: [name], source, entries.entry, name)
    root = Path(config.outputs).expanduser()
    entries = Entries(lambda name: _version(root / name, kind), lambda name: open_for_reading(root / name, kind))
    return Library(
        lambda: study_names(config.outputs, kind),
        lambda name: _source(name, lambda: open_for_reading(root / name, kind), replace(config, study=name)),
        entries.entry,
    )


def _source(name: str, opened: Callable[[], StudyReader], config: UiConfig) -> Source:
    return Source(name, opened, lambda study: report_context(study, config))


def _version(folder: Path, kind: str) -> object | None:
    store = make_store(folder, kind, reading=True)
    version = store.version()
    return None if version is None else (version, store.is_driven())
