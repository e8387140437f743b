"""Cache of traces on disk: one file a simulated search, keyed by its settings, table and code."""

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
from nas.search.built_strategy import Strategy
from nas.search.starts import projected_starts
from nas.tabular.simulation.benchmark import Benchmark
from nas.tabular.simulation.trace import SearchTrace

PACKAGES = ("nas", "search_space")
SIMULATE_MODULE = "nas.tabular.simulation.simulate"


@final
class TraceCache:
    """Folder of traces."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, strategy: Strategy, simulated: Benchmark) -> SearchTrace | None:
        """Return the trace of a search that was simulated before with the same code, None if there is none."""
        path = self._path(strategy, simulated)
        if not path.is_file():
            return None
        return SearchTrace.from_json(json.loads(path.read_text(encoding="utf-8")))

    def put(self, strategy: Strategy, simulated: Benchmark, trace: SearchTrace) -> None:
        """Write a trace."""
        path = self._path(strategy, simulated)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(trace.to_json()))

    def _path(self, strategy: Strategy, simulated: Benchmark) -> Path:
        settings = cache_key(strategy, simulated) | {"version": version(_modules(strategy, simulated))}
        key = content_hash([json.dumps(settings, sort_keys=True)])
        return self._folder / f"{key[:32]}.json"


def cache_key(strategy: Strategy, simulated: Benchmark) -> dict[str, Any]:
    """Return everything that determines a simulated search, apart from the code."""
    names = ("sampler", "prior", "fidelity", "objective", "limits", "budget", "seed")
    starts = projected_starts(strategy.start, simulated.space)
    return {name: _plain(getattr(strategy, name)) for name in names} | {
        "start": [start.architecture.id for start in starts.values()],
        "table": simulated.hash,
        "slots": simulated.slots,
        "charge": simulated.charge,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _modules(strategy: Strategy, simulated: Benchmark) -> tuple[str, ...]:
    """Return the root modules of a simulated search: plug-ins are named in its settings and imported by no module."""
    own = () if strategy.sampler.module is None else (f"nas.samplers.{strategy.sampler.module}",)
    return (SIMULATE_MODULE, type(simulated).__module__, f"nas.fidelity.{strategy.fidelity.name}", *own)


@cache
def version(modules: tuple[str, ...]) -> str:
    """Return a digest of these modules, of all modules of ours that they import, and of Optuna's version."""
    files = sorted(imported(modules).items())
    texts = (part for name, path in files for part in (f"\n{name}\n", path.read_bytes()))
    return content_hash([package_version("optuna"), *texts])


def imported(modules: Iterable[str]) -> dict[str, Path]:
    """Return the files of these modules and of all modules of ours that they import, directly or not."""
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
    """Yield the names of imported modules; `from a import b` may import the module a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))


def _file(name: str) -> Path | None:
    """Return the file of a module of ours, None for any other name."""
    if name.partition(".")[0] not in PACKAGES:
        return None
    try:
        spec = find_spec(name)
    except ModuleNotFoundError:  # a name in a module, not a module
        return None
    return Path(spec.origin) if spec is not None and spec.origin is not None else None
