"""Raw list of a peer's search: its trainings in order, from which fronts are chosen afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

from harness.catalogue import Peer
from nas.jobs.files import write_text
from nas.jobs.hashes import content_hash

FORMAT = 1
"""Number of the form of raw lists and of the rules that simulate them; a change of either raises it."""


@dataclass(frozen=True)
class Training:
    """Epochs of one network, trained at a stretch.

    Attributes:
        id: identity of its architecture.
        config: options by the paths of the choices, from which the architecture is made.
        since: number of epochs that it had before.
        epochs: number of epochs that it has now.
        seconds: seconds charged for them.
        thought: processor seconds of the optimizer until the training began.
        asked: whether the optimizer asked for it; the harness draws one after many duplicates in a row.
    """

    id: str
    config: Mapping[str, Any]
    since: int
    epochs: int
    seconds: float
    thought: float
    asked: bool


@dataclass(frozen=True)
class RawSearch:
    """One search of a peer.

    Attributes:
        peer: its name.
        seed: of the search.
        world: world of the benchmark whose learning curves the search saw; of a table, its seed.
        reason: why the search ended.
        trainings: in order.
        thought: processor seconds of the optimizer.
        duplicates: proposals that cost nothing, because their networks had been trained as far already.
    """

    peer: str
    seed: int
    world: int
    reason: str
    trainings: tuple[Training, ...]
    thought: float
    duplicates: int

    def to_json(self) -> dict[str, Any]:
        """Return the search as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RawSearch:
        """Return the search that `to_json` wrote."""
        return cls(**{**document, "trainings": tuple(Training(**each) for each in document["trainings"])})


@dataclass(frozen=True)
class SearchKey:
    """Everything that determines a peer's search.

    Attributes:
        peer: the peer.
        benchmark: digest of the benchmark's trainings.
        charge: column that an epoch costs.
        seed: of the search.
        trainings: budget in full-training equivalents.
    """

    peer: Peer
    benchmark: str
    charge: str
    seed: int
    trainings: float

    @property
    def file_name(self) -> str:
        """Name of the file that keeps the search."""
        settings = [str(FORMAT), self.peer.name, self.peer.version, self.benchmark, self.charge, str(self.trainings)]
        return f"{self.peer.name}-{content_hash(settings)[:16]}-{self.seed:03d}.json"


@final
class RawCache:
    """Folder of raw lists, one file a search."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: SearchKey) -> RawSearch | None:
        """Return a search that was simulated before, None if there is none."""
        path = self._folder / key.file_name
        return RawSearch.from_json(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None

    def put(self, key: SearchKey, search: RawSearch) -> None:
        """Write a search."""
        self._folder.mkdir(parents=True, exist_ok=True)
        write_text(self._folder / key.file_name, json.dumps(search.to_json()))
