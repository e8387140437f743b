"""Folder of a user's plug-ins, given as `--config-dir`: Python modules beside the YAML options that name them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path

from search_space.plugins import trust

OURS = ("nas", "search_space")


def add_plugin_folder(folder: Path) -> None:
    """Let configurations and stored documents name plug-ins of the modules in a folder, here and in child processes.

    The folder is appended to `sys.path`, so that it never shadows an installed module. A module that Python finds
    elsewhere under the same name is not trusted.

    Args:
        folder: existing folder with `*.py` files and packages; other files are ignored.
    """
    folder = folder.resolve()
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # multiprocessing hands sys.path to every child
    invalidate_caches()
    for name in _modules(folder):
        spec = find_spec(name)
        if spec is not None and spec.origin is not None and folder in Path(spec.origin).resolve().parents:
            trust(name)


def _modules(folder: Path) -> Iterator[str]:
    """Yield the names of the top-level modules and packages in a folder, private ones and ours excepted."""
    for path in sorted(folder.iterdir()):
        name = path.stem if path.suffix == ".py" else path.name if (path / "__init__.py").is_file() else ""
        if name.isidentifier() and not name.startswith("_") and name not in OURS:
            yield name
