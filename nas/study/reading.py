"""Trials of a stored study as values, with what was left out of them and why."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import final

from optuna.trial import TrialState

from nas.study.checked import LARGEST_COUNT, UNREADABLE, DamageError, or_reason, reason, shown
from nas.study.foreign import FIXED, ForeignTrials
from nas.study.storage.trial_reading import Trial
from nas.study.stored_trial import Laws, is_ours, record_of, repeat_of
from nas.study.trial import NO_ASK, Candidate, Record, Repeat

NAMED = 3
"""Trials that are named in a message about several; more are counted."""

Unreadable = Mapping[int, str]
"""Reasons for which a trial can't be read, by its number."""


@dataclass(frozen=True)
class Reading:
    """Trials of a study, read once.

    Attributes:
        records: the trials that were read, in order of their numbers.
        damaged: reasons for which trials, or repeats of them, were left out, by their names.
        others: reasons for which trials of other programs were left out, by number.
        wishes: networks that other programs have enqueued, by the number of their trial.
        trials: stored trials, by number.
        unreadable: reasons for which others can't be read, by number.
        last_ask: largest number of an ask, damaged trials included; `NO_ASK` for none.
        version: of the database before it was read, None if it is not known.
        settings: attributes of the study by which its trials were read.
    """

    records: list[Record] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)
    others: dict[int, str] = field(default_factory=dict)
    wishes: dict[int, Candidate] = field(default_factory=dict)
    trials: dict[int, Trial] = field(default_factory=dict)
    unreadable: Mapping[int, str] = field(default_factory=dict)
    last_ask: int = NO_ASK
    version: object | None = None
    settings: tuple[object, ...] = ()

    @property
    def numbers(self) -> set[int]:
        """Numbers of all trials, those that can't be read included."""
        return {*self.trials, *self.unreadable}

    def reason(self, number: int) -> str:
        """Return why a trial is left out; that it waits, if another program has enqueued it."""
        if number in self.wishes:
            return "enqueued: the next search trains it first"
        return self.damaged.get(f"trial {number}") or self.others.get(number, "there is no such trial")

    @property
    def nothing(self) -> bool:
        """True if there are trials of ours and none can be read."""
        return bool(self.damaged) and not self.records

    def lines(self, study: str) -> list[str]:
        """Return what was left out, one line each for the first damaged trials, one for those of others.

        Args:
            study: name of the study.
        """
        found = [f"{name} of {study} is damaged and left out: {law}" for name, law in self.damaged.items()][:NAMED]
        if len(self.damaged) > NAMED:
            found.append(f"{len(self.damaged) - NAMED} more of {study} are damaged and left out")
        imported = [record.number for record in self.records if record.candidate.ask == NO_ASK]
        if imported:
            found.append(f"trained elsewhere: {_numbered(imported)} of {study}")
        if self.wishes:
            found.append(f"enqueued, for the next search to train first: {_numbered(list(self.wishes))} of {study}")
        if self.others:
            reasons = "; ".join(f"trial {number} {law}" for number, law in list(self.others.items())[:NAMED])
            some = "trial of others is" if len(self.others) == 1 else "trials of others are"
            found.append(f"{len(self.others)} {some} left out of {study}: {reasons}")
        return found


def _numbered(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
    return f"{'trial' if len(numbers) == 1 else 'trials'} {', '.join(map(str, numbers[:NAMED]))}{more}"


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the search for cyclic garbage, which would look at all trials again and again while they are made."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_trials(
    trials: Sequence[Trial],
    unreadable: Unreadable,
    repeats: Mapping[int, Sequence[tuple[int, object]]],
    laws: Laws,
    foreign: Callable[[], ForeignTrials | None],
    earlier: Reading | None = None,
) -> Reading:
    """Return the trials of a study.

    Args:
        trials: stored trials.
        unreadable: those that can't be read.
        repeats: documents of repeats with their indices, in their order, by the trial's number.
        laws: facts that they must agree with.
        foreign: returns the reader of trials of other programs.
        earlier: an earlier reading by the same laws, whose records of the same trials are taken.
    """
    return _Reader(laws, repeats, foreign, earlier).read(trials, unreadable)


@final
class _Reader:
    """Reader of one study's trials."""

    def __init__(
        self,
        laws: Laws,
        repeats: Mapping[int, Sequence[tuple[int, object]]],
        foreign: Callable[[], ForeignTrials | None],
        earlier: Reading | None,
    ) -> None:
        self._laws = laws
        self._repeats = repeats
        self._foreign = foreign
        self._earlier = {} if earlier is None else earlier.trials
        self._known = {} if earlier is None else {record.number: record for record in earlier.records}
        self._damaged: dict[str, str] = {}
        self._others: dict[int, str] = {}
        self._wishes: dict[int, Candidate] = {}

    def read(self, trials: Sequence[Trial], unreadable: Unreadable) -> Reading:
        self._damaged |= {f"trial {number}": f"it must be readable, got {why}" for number, why in unreadable.items()}
        ours = [trial for trial in trials if is_ours(trial)]
        records: dict[int, Record] = {}
        for trial in ours:
            if trial.number in records:
                self._damaged[f"trial {trial.number}"] = "its number must be its own, another trial has it too"
            elif (record := self._own(trial)) is not None:
                records[trial.number] = record
        known = {record.candidate.network_id for record in records.values()}
        for trial in trials:
            if not is_ours(trial):
                self._other(trial, records, known)
        self._stray_repeats(records)
        return Reading(
            [records[number] for number in sorted(records)],
            self._damaged,
            self._others,
            self._wishes,
            {trial.number: trial for trial in trials},
            unreadable,
            max((_ask(trial) for trial in ours), default=NO_ASK),
        )

    def _own(self, trial: Trial) -> Record | None:
        if (known := self._same(trial)) is not None:
            return self._repeated(known)
        try:
            return self._repeated(record_of(trial, self._laws))
        except DamageError as error:
            self._damaged[f"trial {trial.number}"] = str(error)
            return None

    def _same(self, trial: Trial) -> Record | None:
        """Return the earlier record of a trial that is the same as then; None if it is not, or had no record."""
        return self._known.get(trial.number) if self._earlier.get(trial.number) is trial else None

    def _repeated(self, record: Record) -> Record:
        """Return a record with the stored repeats; the same one if it has them already."""
        found = self._repeats_of(record)
        if record.repeats == tuple(found):
            return record
        return reduce(Record.with_repeat, found, record.without_repeats())

    def _repeats_of(self, record: Record) -> list[Repeat]:
        """Return the repeats of a trial up to the first damaged one."""
        found: list[Repeat] = []
        for index, document in self._repeats.get(record.number, ()):
            try:
                _check_place(index, record, found)
                found.append(repeat_of(document, self._laws.axes))
            except DamageError as error:
                self._damaged[f"repeat {index} of trial {record.number}"] = str(error)
                break
        return found

    def _stray_repeats(self, records: Mapping[int, Record]) -> None:
        for number, indexed in self._repeats.items():
            if number not in records and f"trial {number}" not in self._damaged:
                name = f"repeat {indexed[0][0]} of trial {shown(number)}"
                self._damaged[name] = "its trial must be in the study, it is not"

    def _other(self, trial: Trial, records: dict[int, Record], known: set[str]) -> None:
        """Take a trial of another program as a result or a wish, or leave it out."""
        foreign = self._foreign()
        if foreign is None:
            self._others[trial.number] = "has no architecture"
            return
        try:
            if trial.state == TrialState.WAITING and FIXED in trial.system_attrs:
                self._wishes[trial.number] = _new(foreign.wish(trial), known)
            else:
                record = self._same(trial) or foreign.record(trial, whole=self._laws.whole)
                _new(record.candidate, known)
                records[trial.number] = self._repeated(record)
        except DamageError as error:
            self._others[trial.number] = str(error)
        except UNREADABLE as error:
            self._damaged[f"trial {trial.number}"] = f"it must be readable, got {reason(error)}"


def _check_place(index: int, record: Record, earlier: Sequence[Repeat]) -> None:
    """Refuse a repeat that cannot follow the earlier ones.

    Raises:
        DamageError: its trial is not complete, or the repeat before it is missing or has not ended.
    """
    if record.values is None:
        raise DamageError(f"its trial must be complete, it is {record.state}")
    if index != len(earlier) + 1 or (earlier and earlier[-1].open):
        raise DamageError("the repeat before it must have ended, it has not")


def _new(candidate: Candidate, known: set[str]) -> Candidate:
    """Return a candidate after noting its network.

    Raises:
        DamageError: another trial has the network.
    """
    if candidate.network_id in known:
        raise DamageError("has the network of another trial")
    known.add(candidate.network_id)
    return candidate


def _ask(trial: Trial) -> int:
    """Return the ask of a trial, damaged or not; `NO_ASK` if it has none."""
    found = or_reason(trial.user_attrs, "ask")
    if isinstance(found, int) and not isinstance(found, bool) and NO_ASK < found <= LARGEST_COUNT:
        return found
    return NO_ASK
