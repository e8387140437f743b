"""`nas ui`: a live page about studies, on the loopback address."""

from __future__ import annotations

import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.cli.common.studies import reading
from nas.cli.report import report_context
from nas.config.commands import UiConfig
from nas.reports.live import Library, serve
from nas.reports.live.follower import Source
from nas.study.folders import existing_study
from nas.study.storage.folder_lock import is_locked
from nas.study.storage.folder_owner import STUDY_FILE


def run(config: UiConfig) -> int:
    """Serve the page on 127.0.0.1 until Ctrl-C.

    Raises:
        ValueError: no study of that name, or the port is taken.
    """
    library = _library(config)

    def started(address: str) -> None:
        what = f"study {library.only}" if library.only else f"the studies of {config.outputs}"
        print(f"{address} shows {what}, until Ctrl-C.", flush=True)
        if config.open:
            webbrowser.open(address)

    try:
        serve(library, config.port, started)
    except KeyboardInterrupt:
        return 0
    return 0


def _library(config: UiConfig) -> Library:
    if config.study is not None:
        folder = existing_study(config.study, config.outputs, in_folder=config.storage.kind == "sqlite")
        reading(config).study.close()  # a mistake is told here, and not on the page
        name = folder.resolve().name
        return Library(lambda: [name], lambda _: _source(name, config), lambda _: _entry(folder, name), only=name)
    root = Path(config.outputs).expanduser()
    return Library(
        lambda: _names(root),
        lambda name: _source(name, replace(config, study=name)),
        lambda name: _entry(root / name, name),
    )


def _source(name: str, config: UiConfig) -> Source:
    return Source(name, lambda: reading(config), lambda study: report_context(study, config))


def _names(root: Path) -> list[str]:
    """Return the names of the folders with a study, the one that was written to last first."""
    if not root.is_dir():
        return []
    files = [folder / STUDY_FILE for folder in root.iterdir()]
    return [file.parent.name for file in sorted(filter(Path.is_file, files), key=_changed, reverse=True)]


def _changed(file: Path) -> float:
    return file.stat().st_mtime


def _entry(folder: Path, name: str) -> dict[str, Any]:
    return {"name": name, "state": "running" if is_locked(folder) else "not running"}
