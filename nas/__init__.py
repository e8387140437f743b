"""Search of Inception architectures: samplers, training, workers, the study, the command line and the Python objects.

    from nas import InceptionClassifier, Network, Study, search

These four are loaded when they are first used, so that a command does not wait for what it does not need.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.api import InceptionClassifier, Network, Study, search

    __version__: str

__all__ = ["InceptionClassifier", "Network", "Study", "__version__", "search"]

API = "nas.api"


class _Package(ModuleType):
    """Package of which `search` is the function, although the room of the driver has that name too.

    An import of a module of `nas.search` would set the attribute to the room; modules are found by their full names.
    """

    @property
    def search(self) -> Any:
        """Search on images."""
        return import_module(API).search

    @search.setter
    def search(self, room: ModuleType) -> None:
        """Keep the function when the import system has loaded the room."""


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("inception-nas")
    if name in __all__:
        return getattr(import_module(API), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
