"""Trials of a study read from Optuna's tables: one query a table, and JSON that is decoded at its first use.

Optuna makes an object of every row before it makes a trial of them: 2 ms and 100 KB a trial of thirty parameters. A
study's front and status need no parameters, so these are read when one of them is asked for, of all trials at once.
Trials that had ended at an earlier reading never change, and are taken from it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from sys import intern
from typing import Any, Protocol, final

from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.trial import TrialState

Query = Callable[[str, tuple[object, ...]], Iterable[Any]]
"""Returns the rows of a query, whose parameters are written `?`."""

LATE = "rejected"
"""User attribute that only a search needs, and that may be larger than all others together."""
CONSTRAINT = "constraints:"
GAPS = 100
"""Largest ratio of a trial's number to the count of trials."""
_INFINITE: Mapping[str, Any] = {"INF_POS": math.inf, "INF_NEG": -math.inf}

_STUDY = "SELECT study_id FROM studies WHERE study_name = ?"
_STUDY_ATTRIBUTES = "SELECT key, value_json FROM study_user_attributes WHERE study_id = ?"
_OF_STUDY = "JOIN trials ON trials.trial_id = part.trial_id WHERE trials.study_id = ?"
_TRIALS = (
    "SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials WHERE study_id = ? ORDER BY trial_id"
)
_VALUES = f"SELECT part.trial_id, objective, value, value_type FROM trial_values part {_OF_STUDY}"
_USER = f"SELECT part.trial_id, key, value_json FROM trial_user_attributes part {_OF_STUDY} AND key <> '{LATE}'"
_LATE = f"SELECT part.trial_id, value_json FROM trial_user_attributes part {_OF_STUDY} AND key = '{LATE}'"
_SYSTEM = f"SELECT part.trial_id, key, value_json FROM trial_system_attributes part {_OF_STUDY}"
_PARAMETERS = f"SELECT part.trial_id, param_name, param_value, distribution_json FROM trial_params part {_OF_STUDY}"
MOST_NAMED = 500
"""Most trials that a query names; of more, it reads all."""


_RAW = json.JSONDecoder().raw_decode


def _decoded(text: str) -> Any:
    """Return what a JSON text says; compact ones, as Optuna writes them, without the search for blanks around them."""
    if text[:1] not in '{["0123456789-':
        return json.loads(text)
    value, end = _RAW(text)
    return value if end == len(text) else json.loads(text)


class Trial(Protocol):
    """Stored trial as far as a study reads it; Optuna's `FrozenTrial` is one."""

    @property
    def number(self) -> int:
        """Number of the trial in its study."""
        ...

    @property
    def state(self) -> TrialState:
        """State of the trial."""
        ...

    @property
    def values(self) -> Sequence[float] | None:
        """Values in order of the objectives, None without any."""
        ...

    @property
    def user_attrs(self) -> Mapping[str, Any]:
        """User attributes by key."""
        ...

    @property
    def system_attrs(self) -> Mapping[str, Any]:
        """System attributes by key."""
        ...

    @property
    def constraints(self) -> Mapping[str, float]:
        """Constraint values by name."""
        ...

    @property
    def params(self) -> Mapping[str, Any]:
        """Values of the parameters by name."""
        ...

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        """Distributions of the parameters by name."""
        ...


Earlier = Mapping[int, Trial]
"""Trials of an earlier reading of the same study, by number."""
NONE: Earlier = {}


@final
class JsonMapping(Mapping[str, Any]):
    """Mapping of keys to JSON texts, each decoded when it is asked for, and of one key that is read late."""

    def __init__(self, texts: dict[str, str], late: Callable[[], str | None] | None = None) -> None:
        """Take the texts by key.

        Args:
            texts: JSON by key.
            late: returns the JSON of the key `LATE`, None if there is none; None for a mapping without the key.
        """
        self._texts, self._late = texts, late

    def __getitem__(self, key: str) -> Any:
        self._read_late(key)
        return _decoded(self._texts[key])

    def __contains__(self, key: object) -> bool:
        self._read_late(key)
        return key in self._texts

    def __iter__(self) -> Iterator[str]:
        self._read_late(LATE)
        return iter(self._texts)

    def __len__(self) -> int:
        self._read_late(LATE)
        return len(self._texts)

    def has(self, texts: Mapping[str, str]) -> bool:
        """Return whether these are its texts, but for the key `LATE`."""
        return {**self._texts, LATE: ""} == {**texts, LATE: ""}

    def _read_late(self, key: object) -> None:
        if key == LATE and self._late is not None:
            text, self._late = self._late(), None
            if text is not None:
                self._texts[LATE] = text


@final
@dataclass(frozen=True, eq=False)
class StoredTrial:
    """One trial as its rows have it.

    Attributes:
        key: its primary key.
        number: its number in the study.
        state: its state.
        values: its values in order of the objectives, None without any.
        user_attrs: its user attributes.
        system_attrs: its system attributes.
        times: its start and its end as the database has them, None for none.
        late: rows of all trials of the study that are read when they are asked for.
    """

    key: int
    number: int
    state: TrialState
    values: Sequence[float] | None
    user_attrs: JsonMapping
    system_attrs: JsonMapping
    times: tuple[object, ...]
    late: LateRows = field(repr=False)

    def has_row(self, number: int, state: str, times: Sequence[object]) -> bool:
        """Return whether a row is that of this trial; then nothing has changed of one that had ended."""
        return (self.number, self.state.name, self.times) == (number, state, tuple(times))

    @property
    def constraints(self) -> dict[str, float]:
        """Constraint values by name."""
        named = [key for key in self.system_attrs if key.startswith(CONSTRAINT)]
        return {key.removeprefix(CONSTRAINT): self.system_attrs[key] for key in named}

    @property
    def params(self) -> dict[str, Any]:
        """Values of the parameters by name."""
        rows = self.late.parameters.get(self.key, {})
        return {name: _distribution(text).to_external_repr(value) for name, (value, text) in rows.items()}

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Distributions of the parameters by name."""
        return {name: _distribution(text) for name, (_, text) in self.late.parameters.get(self.key, {}).items()}


@final
class LateRows:
    """Rows of a study's trials that few commands need, read at their first use."""

    def __init__(self, read: Callable[[str], Iterable[Any]]) -> None:
        """Take the function that reads them.

        Args:
            read: returns the rows of a query whose one parameter is the study.
        """
        self._read = read
        self.among = ""
        """Clause that restricts them to some trials, empty for all."""

    @cached_property
    def parameters(self) -> dict[int, dict[str, tuple[float, str]]]:
        """Internal values of the parameters and JSON of their distributions by name, by the trial's primary key."""
        found: dict[int, dict[str, tuple[float, str]]] = {}
        for key, name, value, text in self._read(f"{_PARAMETERS}{self.among} ORDER BY param_id"):
            found.setdefault(key, {})[name] = (value, intern(text) if isinstance(text, str) else text)
        return found

    @cached_property
    def attributes(self) -> dict[int, str]:
        """JSON of the user attribute `LATE`, by the trial's primary key."""
        return dict(self._read(_LATE + self.among))


@lru_cache(4096)
def _distribution(text: str) -> BaseDistribution:
    return json_to_distribution(text)


def study_key(query: Query, name: str) -> int | None:
    """Return the primary key of a study, None if there is none of that name."""
    return next((int(key) for (key,) in query(_STUDY, (name,))), None)


def study_attributes(query: Query, study: int) -> JsonMapping:
    """Return the user attributes of a study."""
    return JsonMapping(dict(query(_STUDY_ATTRIBUTES, (study,))))


def is_number(number: object, count: int) -> bool:
    """Return whether this may be the number of one of `count` trials; deleted ones leave gaps."""
    return isinstance(number, int) and 0 <= number < GAPS * (count + GAPS)


def read_trials(
    query: Query, study: int, late: LateRows, earlier: Earlier = NONE
) -> tuple[list[StoredTrial], dict[int, str]]:
    """Return the trials of a study in order of their numbers, and the reasons why others can't be read, by number.

    Args:
        query: reads from the database, in one transaction.
        study: primary key of the study.
        late: reads what is not needed now.
        earlier: the trials of an earlier reading, by number; those that had ended are taken as they are.
    """
    trials = [(key, number, state, times) for key, number, state, *times in query(_TRIALS, (study,))]
    known = {one.key: one for one in earlier.values() if isinstance(one, StoredTrial)}
    same = {key for key, number, state, times in trials if key in known and known[key].has_row(number, state, times)}
    kept = {key: known[key] for key in same if known[key].state.is_finished()}
    late.among = _among([key for key, *_ in trials if key not in kept]) if kept else ""
    values: dict[int, list[float]] = {}
    for key, _, value, kind in query(f"{_VALUES}{late.among} ORDER BY objective", (study,)):
        values.setdefault(key, []).append(_INFINITE.get(kind, value))
    user, system = _texts(query(_USER + late.among, (study,))), _texts(query(_SYSTEM + late.among, (study,)))

    def trial(key: int, number: int, state: str, times: list[object]) -> StoredTrial:
        own, noted, old = user.get(key, {}), system.get(key, {}), known.get(key)
        if old and key in same and old.user_attrs.has(own) and old.system_attrs.has(noted):
            return old
        attributes = JsonMapping(own, lambda: late.attributes.get(key)), JsonMapping(noted)
        return StoredTrial(key, number, TrialState[state], values.get(key), *attributes, tuple(times), late)

    found, unreadable = [], {}
    for place, (key, number, state, times) in enumerate(trials):
        if not is_number(number, len(trials)):
            unreadable[place] = f"the number {number}"
        elif state not in TrialState.__members__:
            unreadable[number] = f"the state {state}"
        else:
            found.append(kept.get(key) or trial(key, number, state, times))
    return sorted(found, key=lambda one: one.number), unreadable


def _among(keys: Sequence[int]) -> str:
    """Return the clause that restricts a query to trials with these primary keys; empty for many."""
    return f" AND part.trial_id IN ({', '.join(map(str, keys)) or 'NULL'})" if len(keys) <= MOST_NAMED else ""


def _texts(rows: Iterable[Any]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for trial, key, text in rows:
        found.setdefault(trial, {})[key] = text
    return found
