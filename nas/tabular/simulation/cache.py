"""Traces of rehearsals on disk: one file each, under what it was rehearsed with."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, is_dataclass
from functools import cache
from importlib.metadata import version as package_version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

from nas.jobs.files import write_text
from nas.jobs.hashes import content_hash
from nas.search.strategy import Strategy
from nas.tabular.simulation.simulate import Stage, Trace

PACKAGES = ("nas", "search_space")
PLAYS = "nas.tabular.simulation.simulate"


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
        write_text(path, json.dumps(trace.to_json()))

    def _path(self, strategy: Strategy, stage: Stage) -> Path:
        told = described(strategy, stage) | {"version": version(_modules(strategy))}
        key = content_hash([json.dumps(told, sort_keys=True)])
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


def _modules(strategy: Strategy) -> tuple[str, ...]:
    """The modules that a rehearsal begins with: those of its plug-ins are found by name, not imported by others."""
    own = () if strategy.sampler.module is None else (f"nas.samplers.{strategy.sampler.module}",)
    return (PLAYS, f"nas.fidelity.{strategy.fidelity.name}", *own)


@cache
def version(modules: tuple[str, ...]) -> str:
    """Digest of the code that decides: of these modules, of all of ours that they import, and of Optuna's version."""
    files = sorted(imported(modules).items())
    texts = (part for name, path in files for part in (f"\n{name}\n", path.read_bytes()))
    return content_hash([package_version("optuna"), *texts])


def imported(modules: Iterable[str]) -> dict[str, Path]:
    """Modules of ours that these ones import, directly or not, themselves included, with their files."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = None if name in found else _file(name)
        if path is not None:
            found[name] = path
            waiting += _names(ast.parse(path.read_text(encoding="utf-8")))
    return found


def _names(tree: ast.Module) -> Iterator[str]:
    """What a module imports: `from a import b` may mean the module a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def _file(name: str) -> Path | None:
    """The file of a module of ours; None for anything else."""
    if name.partition(".")[0] not in PACKAGES:
        return None
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # a name in a module, not a module
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None else None
