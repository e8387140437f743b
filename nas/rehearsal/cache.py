"""Traces of rehearsals on disk: one file each, under what it was rehearsed with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, final

import nas
import search_space
from nas.rehearsal.play import Stage, Trace
from nas.strategy import Strategy

DECIDING = (
    "book.py", "clock.py", "fidelity", "gate.py", "improvement.py", "jobs.py", "objectives", "pareto.py", "plugins.py",
    "progress.py", "proposer.py", "records.py", "rehearsal/clock.py", "rehearsal/executor.py", "rehearsal/memory.py",
    "rehearsal/play.py", "samplers", "search.py", "specs.py", "strategy.py", "study.py", "tables",
)  # fmt: skip
"""Where in nas/ the code is that decides what a search does; all of search_space decides too."""


@final
class Cache:
    """A folder of traces; each is whole before it bears its name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, strategy: Strategy, stage: Stage) -> Trace | None:
        """The trace of a rehearsal that was played before with the same code, None where there is none."""
        path = self._path(strategy, stage)
        if not path.is_file():
            return None
        return Trace.from_json(json.loads(path.read_text(encoding="utf-8")))

    def put(self, strategy: Strategy, stage: Stage, trace: Trace) -> None:
        """Keep a trace."""
        path = self._path(strategy, stage)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(trace.to_json()), encoding="utf-8")
        part.replace(path)

    def _path(self, strategy: Strategy, stage: Stage) -> Path:
        told = described(strategy, stage) | {"version": version()}
        key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        return self._folder / f"{key[:32]}.json"


def described(strategy: Strategy, stage: Stage) -> dict[str, Any]:
    """Everything that a rehearsal follows from, the code apart."""
    names = ("sampler", "fidelity", "objective", "limits", "budget", "start", "seed")
    return {name: _plain(getattr(strategy, name)) for name in names} | {
        "table": stage.table.hash,
        "slots": stage.slots,
        "charge": stage.charge,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


@cache
def version() -> str:
    """Digest of the code that decides what a search does."""
    room, space = Path(nas.__file__).parent, Path(search_space.__file__).parent
    sources = [path for name in DECIDING for path in _sources(room / name)] + _sources(space)
    digest = hashlib.sha256()
    for path in sources:
        digest.update(f"{path.name}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def _sources(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.py"))
