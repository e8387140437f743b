"""Summaries of a study: the JSON documents of its front and its status, as the commands print them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nas.objectives.limits import Limits
from nas.objectives.pareto import Axis, front, hypervolume, losses
from nas.study.reading import Reading
from nas.study.selection import numbered
from nas.study.storage.factory import make_store
from nas.study.study import Study, open_study
from nas.study.trial import ENDED, Record, State
from nas.study.trials_reader import StudyReplacedError


class StudyReader:
    """A stored study whose trials are read once."""

    def __init__(self, study: Study, reading: Reading | None = None) -> None:
        """Read the trials of a study.

        Args:
            study: the study.
            reading: its trials, if they have been read.
        """
        self.study = study
        self._reading = reading or study.read_records()
        self._limits = Limits()
        self.records = self._reading.records
        self._front: list[Record] | None = None

    @property
    def front(self) -> list[Record]:
        """Complete trials on the front by their posterior means, cheapest first."""
        if self._front is None:
            self._front = self.study.believer.front(self.records)
        return self._front

    def limit(self, limits: Limits) -> None:
        """Leave networks over these limits, too, out of the front.

        Raises:
            ValueError: a limit on a cost that the networks of the study have not.
        """
        if self.records:
            limits.checked(self.records[0].candidate.costs)
        self._limits = limits.joined(self._limits)
        self.study.believer.limits = limits.joined(self.study.believer.limits)
        self._front = None

    def reread(self) -> StudyReader:
        """Return a reader of the study as it is now; this one if nothing has been stored since.

        Trials that had ended are never changed, so that only the others and new ones are read: some milliseconds for
        thousands of trials. Every record that has not changed is the same object in both readers. Limits given here
        hold there too. A study that was deleted and made anew is opened anew.
        """
        try:
            reading = self.study.read_records(self._reading)
        except StudyReplacedError:
            self.study.close()
            found = open_for_reading(self.study.folder, self.study.kind)
        else:
            if reading is self._reading:
                return self
            found = StudyReader(self.study, reading)
        found.limit(self._limits)
        return found

    def changed_since(self, earlier: StudyReader) -> list[Record]:
        """Return the records that are new here, or differ from those of an earlier reader of the study.

        Args:
            earlier: the reader of which this one is a later `reread`.
        """
        known = {record.number: record for record in earlier.records}
        return [record for record in self.records if known.get(record.number) is not record]

    def front_document(self, members: Sequence[Record] | None = None) -> dict[str, Any]:
        """Return the Pareto front, or complete trials of a choice of one's own, as a JSON document."""
        return front_document(self.study, self.records, members)

    def status_document(self) -> dict[str, Any]:
        """Return counts of trials, failures, hypervolume and time spent as a JSON document."""
        return status_document(self.study, self.records)

    def record(self, number: int) -> Record:
        """Return a trial.

        Raises:
            ValueError: the study has no such trial.
        """
        record = numbered(self.records, number)
        if record is None:
            raise ValueError(f"a trial must be one of the {len(self.records)} in {self.study.name}, got {number}")
        return record


def open_for_reading(folder: Path, kind: str = "sqlite") -> StudyReader:
    """Open the study of a folder for reading.

    Args:
        folder: the study's folder.
        kind: kind of its database.

    Raises:
        ValueError: there is no study.
    """
    return StudyReader(open_study(folder, make_store(folder, kind, reading=True)))


def front_records(records: Sequence[Record], axes: Sequence[Axis]) -> list[Record]:
    """Return the complete trials that no other dominates, sorted by their costs in order of the axes."""
    complete = [record for record in records if record.values is not None]
    chosen = [complete[i] for i in front(losses(axes, [r.values for r in complete if r.values]))]
    costs = [axis for axis in axes if axis.direction == "minimize"]
    return sorted(chosen, key=lambda r: [r.values[axis.name] for axis in costs] if r.values else [])


def front_document(study: Study, records: Sequence[Record], members: Sequence[Record] | None = None) -> dict[str, Any]:
    """Return the Pareto front as a JSON document.

    Args:
        study: the study.
        records: its trials.
        members: complete trials to return instead of the front.
    """
    members = study.believer.front(records) if members is None else members
    beliefs = study.believer.beliefs(records)
    return {
        "study": study.name,
        "objectives": [axis.name for axis in study.axes],
        "front": [
            {
                "trial": record.number,
                "id": record.candidate.id,
                "architecture": dict(record.candidate.architecture),
                "summary": record.candidate.summary,
                "values": _exact_values(record),
                "costs": dict(record.candidate.costs),
                **({"believed": beliefs[record.number].to_json()} if record.number in beliefs else {}),
                **({"trainings": record.trainings} if record.repeats else {}),
                **({"imported": True} if record.candidate.imported else {}),
                **inherited(record),
            }
            for record in members
        ],
    }


def inherited(record: Record) -> dict[str, Any]:
    """Return the network whose weights a trial started from, under `inherits`; empty for fresh weights."""
    return {} if record.descent is None else {"inherits": asdict(record.descent)}


def _exact_values(record: Record) -> dict[str, float]:
    """Return the objectives, with integer costs as integers, which a database turns into floats."""
    return {name: record.candidate.costs.get(name, value) for name, value in (record.values or {}).items()}


def status_document(study: Study, records: Sequence[Record]) -> dict[str, Any]:
    """Return counts of trials, failures, hypervolume and time spent as a JSON document."""
    driven = study.is_driven()
    states = [shown_state(record, driven=driven) for record in records]
    complete = [record for record in records if record.values is not None]
    believed = study.believer.losses(complete)
    kinds = [record.failure.kind for record in records if record.state == State.FAILED and record.failure]
    retries: Counter[str] = Counter()
    for record in records:
        retries.update(record.training.retries or {})
    skipped = skipped_totals(records, study.attribute("tail"))
    return {
        "study": study.name,
        "driven": driven,
        "trials": {name: states.count(name) for name in (*map(str, ENDED), "running", "frozen")} | skipped,
        "failures": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "retries": dict(sorted(retries.items())),
        **({"imported": imported} if (imported := sum(r.candidate.imported for r in records)) else {}),
        "hypervolume": hypervolume(believed),
        "front": len(study.believer.front_of(complete, believed)),
        **_repeats(records),
        "seconds": sum(record.spent for record in records),
        "clock_seconds": spent_clock(records),
        "budget": study.attribute("budget"),
    }


def spent_clock(records: Sequence[Record]) -> float:
    """Return the seconds for which the study has been searched, as of the last trial that was stored."""
    trainings = [training for record in records for training in record.all_trainings]
    return max((training.training.clock or 0.0 for training in trainings), default=0.0)


def _repeats(records: Sequence[Record]) -> dict[str, dict[str, int]]:
    """Return counts of repeats, `complete`, `failed` and `open`; empty if there are none."""
    repeats = [repeat for record in records for repeat in record.repeats]
    counts = {
        "complete": sum(repeat.values is not None for repeat in repeats),
        "failed": sum(repeat.failure is not None for repeat in repeats),
        "open": sum(repeat.open for repeat in repeats),
    }
    return {"repeats": counts} if repeats else {}


def shown_state(record: Record, *, driven: bool) -> str:
    """Return the state of a trial; a running one that no job trains now is frozen.

    Args:
        record: the trial.
        driven: whether a process drives the study now.
    """
    if record.state == State.RUNNING and (record.training.frozen or not driven):
        return "frozen"
    return str(record.state)


def skipped_totals(records: Iterable[Record], tail: Mapping[str, Any] | None) -> dict[str, int]:
    """Return the counts of asks that led to no trial, `rejected` and `duplicates`.

    Args:
        records: all trials of the study.
        tail: asks after the last trial, as the proposer stored them.
    """
    totals: Counter[str] = Counter(rejected=0, duplicates=0)
    last = -1
    for record in records:
        totals.update(record.candidate.skipped)
        last = max(last, record.candidate.ask)
    if tail and tail["asks"] > last + 1:
        totals.update(tail["skipped"])
    return dict(totals)
