"""Studies that the live page shows, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nas.reports.live.follower import Source


@dataclass(frozen=True)
class Library:
    """Studies by name; a name that is not among them leads nowhere.

    Attributes:
        names: returns the names of all studies that there are now.
        source: returns how the study of a name is followed.
        entry: returns facts about the study of a name for the list of studies, as JSON values.
        only: name of the one study that is shown; None for a list of all.
    """

    names: Callable[[], Sequence[str]]
    source: Callable[[str], Source]
    entry: Callable[[str], dict[str, Any]]
    only: str | None = None
