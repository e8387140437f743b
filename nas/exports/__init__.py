"""Handing a network over: one file a format, each with its own check against the torch module.

A format is a module of this room, named in `FORMATS`, whose `FORMAT` keeps the protocol below. To add one is to write
its file and name it here; to take one away is to delete both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from search_space.graph import Graph
    from search_space.network import Network

FORMATS = ("weights", "source", "onnx")


class ExportError(ValueError):
    """A network can't be handed over in a form that was asked for; the message says which and why."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network that is handed over.

    Attributes:
        architecture: its architecture in JSON form.
        graph: what the architecture lowers to.
        network: the module, in evaluation mode, on the CPU, in float32.
        preprocessing: how a picture becomes an input, see `preprocessing.json`.
        pixels: (N, C, H, W) uint8 validation images to check every form on, N at least 1.
        logits: (N, classes) float32 of the module for them.
    """

    architecture: Mapping[str, Any]
    graph: Graph
    network: Network
    preprocessing: Mapping[str, Any]
    pixels: NDArray[np.uint8]
    logits: NDArray[np.float32]


class Format(Protocol):
    """One form to hand a network over in."""

    @property
    def file(self) -> str:
        """Name of the file that it writes."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Formats that its file can't be used without."""
        ...

    def unavailable(self) -> str | None:
        """Why it can't be written here and what would help, in one line; None where it can."""
        ...

    def write(self, subject: Subject, folder: Path) -> None:
        """Write the file into `folder`, where `preprocessing.json` and what it needs stand already."""
        ...

    def check(self, subject: Subject, folder: Path) -> dict[str, Any]:
        """Compare the file with the module, in a process that can't import this project.

        Returns:
            `max_difference` first of all, and what else is worth keeping.
        """
        ...


def load_format(name: str) -> Format:
    """The format of that name.

    Raises:
        ExportError: there is none.
    """
    if name not in FORMATS:
        raise ExportError(f"formats must be of {', '.join(FORMATS)}, got {name!r}")
    return cast(Format, import_module(f"nas.exports.{name}").FORMAT)


def chosen(names: Sequence[str]) -> tuple[list[Format], list[str]]:
    """The formats to write, what they need first, and a line for each that is left out.

    Args:
        names: the ones asked for; none takes all that can be written here.

    Raises:
        ExportError: there is no such format, or one that is asked for can't be written here.
    """
    wanted, left_out = [], []
    for name in names or FORMATS:
        reason = load_format(name).unavailable()
        if reason is None:
            wanted += [*load_format(name).needs, name]
        elif names:
            raise ExportError(reason)
        else:
            left_out.append(reason)
    return [load_format(name) for name in dict.fromkeys(wanted)], left_out
