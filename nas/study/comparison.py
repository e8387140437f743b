"""Comparison of two networks: what differs, what it costs, and what it does to the accuracy, as a JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from nas.objectives.costs import built_in_costs
from nas.study.architectures import TRIAL, Studies, named_architecture
from nas.study.belief import CONFIDENCE, Gap
from nas.study.summary import StudyReader
from nas.study.trial import Record
from search_space.architecture import Architecture
from search_space.differences import differences
from search_space.identity import network_id
from search_space.lowering import lower, summary

PERCENT = 100


@final
@dataclass(frozen=True)
class Subject:
    """Network to compare.

    Attributes:
        name: its name for readers: a file, or a trial as STUDY:NUMBER.
        architecture: its normalised architecture.
        reader: the study that it is a trial of, None for none.
        record: the trial, None for none.
    """

    name: str
    architecture: Architecture
    reader: StudyReader | None = None
    record: Record | None = None

    @property
    def costs(self) -> dict[str, float]:
        """Exact costs by name, with those of the study."""
        exact = built_in_costs().of_graph(lower(self.architecture))
        return {**exact, **(dict(self.record.candidate.costs) if self.record else {})}

    def to_json(self) -> dict[str, Any]:
        """Return the network as a JSON object."""
        found: dict[str, Any] = {
            "name": self.name,
            "id": self.architecture.id,
            "network_id": network_id(lower(self.architecture)),
            "summary": summary(self.architecture),
            "costs": self.costs,
        }
        if self.record is not None:
            found |= {"trial": self.record.number, "values": dict(self.record.values or {})}
        return found


@final
@dataclass
class Subjects:
    """Networks by name, each study among them read once.

    Attributes:
        studies: place of the studies.
    """

    studies: Studies
    _readers: dict[Path, StudyReader] = field(default_factory=dict)

    def named(self, name: str) -> Subject:
        """Return the network of a name.

        Raises:
            ValueError: there is no such file or trial, or the file is not an architecture.
        """
        trial = None if Path(name).expanduser().is_file() else TRIAL.fullmatch(name)
        if trial is not None:
            reader = self._reader(trial["study"])
            record = reader.record(int(trial["number"]))
            return Subject(name, Architecture.from_json(record.candidate.architecture), reader, record)
        found = named_architecture(name, self.studies)
        if found is None:
            raise ValueError(f"architecture must be a JSON file or a trial as STUDY:NUMBER, got {name!r}")
        return Subject(name, found[0])

    def _reader(self, study: str) -> StudyReader:
        folder = self.studies.folder(study)
        if folder not in self._readers:
            self._readers[folder] = self.studies.reader(study)
        return self._readers[folder]

    def close(self) -> None:
        """Close the databases."""
        for reader in self._readers.values():
            reader.study.close()


def gaps(before: Subject, after: Subject) -> dict[str, Gap]:
    """Return the difference of each trained objective of two trials of one study; empty for any other networks."""
    if before.reader is None or after.reader is None or before.record is None or after.record is None:
        return {}
    if before.reader.study.folder.resolve() != after.reader.study.folder.resolve():
        return {}
    reader = max(before.reader, after.reader, key=lambda reader: len(reader.records))  # the one that was read later
    return reader.study.believer.gaps(reader.records, before.record.number, after.record.number)


def comparison_document(before: Subject, after: Subject) -> dict[str, Any]:
    """Return what differs between two networks as a JSON document: choices, costs and trained objectives."""
    costs = before.costs, after.costs
    return {
        "networks": [before.to_json(), after.to_json()],
        "changes": [change.to_json() for change in differences(before.architecture, after.architecture)],
        "costs": {name: _change(costs[0][name], costs[1][name]) for name in costs[0] if name in costs[1]},
        "objectives": {name: gap.to_json() for name, gap in gaps(before, after).items()},
        "confidence": CONFIDENCE,
    }


def _change(before: float, after: float) -> Mapping[str, float | None]:
    """Return a cost of both networks, and the change in percent of the first, None if that is free."""
    percent = PERCENT * (after - before) / before if before else None
    return {"before": before, "after": after, "percent": percent}


def total_line(document: Mapping[str, Any]) -> str:
    """Return the change of the costs and of the trained objectives in one line.

    >>> total_line({"costs": {"macs": {"percent": -31.2}}, "objectives": {}})
    'macs −31.2 %'
    """
    costs = document["costs"].items()
    words = [f"{name} {signed(cost['percent'], 1)} %" for name, cost in costs if cost["percent"] is not None]
    return ", ".join([*words, *(f"{name} {gap_text(name, gap)}" for name, gap in document["objectives"].items())])


def gap_text(name: str, gap: Mapping[str, Any]) -> str:
    """Return the difference of an objective, that of an accuracy in points, with the half width of its interval.

    >>> gap_text("val_accuracy", {"difference": -0.002, "interval": [-0.006, 0.002]})
    '−0.2 points ± 0.4'
    """
    scale, unit, digits = (PERCENT, " points", 1) if "accuracy" in name else (1, "", 4)
    reach = "" if gap["interval"] is None else f" ± {scale * (gap['interval'][1] - gap['interval'][0]) / 2:.{digits}f}"
    return f"{signed(scale * gap['difference'], digits)}{unit}{reach}"


def signed(value: float, digits: int) -> str:
    """Return a number with its sign.

    >>> signed(-0.25, 1), signed(0.0, 1), signed(3, 0)
    ('−0.2', '±0.0', '+3')
    """
    text = f"{abs(value):.{digits}f}"
    sign = "±" if not float(text) else "+" if value > 0 else "−"
    return f"{sign}{text}"
