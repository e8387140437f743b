"""What a check is given, and the ways in which it may end beside success."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Figures = Mapping[str, object]
Needs = str
ANY, GPU, GPUS = "any", "gpu", "gpus"
"""A machine with a GPU or without; one GPU; two GPUs."""


class Skipped(Exception):  # noqa: N818 - no error
    """End of a check that this machine can't run; its message is the reason."""


class Missed(Exception):  # noqa: N818 - no error of the program
    """End of a check that ran, and found another result than the one that must be."""

    def __init__(self, reason: str, figures: Figures) -> None:
        super().__init__(reason)
        self.figures = figures


@dataclass(frozen=True)
class Context:
    """Circumstances of a check.

    Attributes:
        device: `cuda` or `cpu`, by Lightning's name and torch's.
        gpus: number of visible GPUs.
        folder: empty folder of the check's own.
    """

    device: str
    gpus: int
    folder: Path


@dataclass(frozen=True)
class Check:
    """Check of one thing.

    Attributes:
        name: its name in the report.
        title: what holds if it passes.
        place: module and function, `module:function`.
        needs: `any`, `gpu` or `gpus`.
        seconds: longest that it may take.
    """

    name: str
    title: str
    place: str
    needs: Needs
    seconds: float


Function = Callable[[Context], Figures]


def require(holds: bool, reason: str, figures: Figures) -> None:
    """End the check where a result is another than it must be.

    Raises:
        Missed: it is.
    """
    if not holds:
        raise Missed(reason, figures)
