"""The study: one Optuna study in a real database, the only log of what was tried and what came of it.

A stored trial is one architecture from the moment it was asked for. Beside Optuna's parameters, state and values it
carries these user attributes:

* `architecture`, `id`, `network_id`, `summary`: what it is; * `costs`: params, MACs and memory, known before
training; * `ask`: the running number of the ask that drew it, counting rejected and duplicate ones; `rejected` and
`duplicates`: the
  asks before it that led to no trial, so that a resumed search sees what an unbroken one saw;
* `seed`: of its training; `curve`: its learning curve; `training`: attempt, checkpoint, seconds and the search's clock;
* `inherits`: whose weights it was to start from, where there was such a network;
* `failure`: kind and message, where it failed.

What the study was searched with stands in the study's own attribute `fingerprint`. Further trainings of a complete
trial's network stand in attributes of the study too, `repeat:TRIAL:1` and so on, since a trial that has ended can't be
changed: its stored values are those of its own training, and whoever reads records finds the means.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial, reduce
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.jobs import Curve, Epoch, Failure
from nas.objectives.pareto import Axis
from nas.study.storage.sqlite import SqliteStore
from nas.study.storage.store import Store
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Descent, Record, Rejected, Repeat, State

FORMAT_VERSION = 1
_REPEAT = re.compile(r"repeat:(?P<trial>\d+):(?P<index>\d+)")

T = TypeVar("T")


class StudyMismatchError(ValueError):
    """A study that was made with something else than what is asked for now; the message says what differs."""


optuna.logging.set_verbosity(optuna.logging.ERROR)  # it announces every study and every sampler it finds odd

_STATES = {
    TrialState.RUNNING: State.RUNNING,
    TrialState.COMPLETE: State.COMPLETE,
    TrialState.PRUNED: State.PRUNED,
    TrialState.FAIL: State.FAILED,
    TrialState.WAITING: State.WAITING,
}


def differences(stored: Mapping[str, Any], asked: Mapping[str, Any], path: str = "") -> list[str]:
    """What differs between two fingerprints, one readable clause each.

    >>> differences({"data": {"resolution": 16}}, {"data": {"resolution": 32}})
    ['data.resolution is 16 in the study and 32 here']
    """
    found = []
    for key in sorted({*stored, *asked}):
        here, old, new = f"{path}{key}", stored.get(key), asked.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, f"{here}.")
        elif old != new:
            found.append(f"{here} is {_short(old)} in the study and {_short(new)} here")
    return found


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


class Study:
    """The stored study, as its one driver and as any reader see it."""

    def __init__(self, store: Store, folder: Path) -> None:
        """Open what `create_study` made."""
        self._store = store
        self._storage = store.retry(lambda: store.storage)
        self._id = store.retry(lambda: self._storage.get_study_id_from_name(store.study))
        self._trial_ids: dict[int, int] = {}
        self.folder = folder
        self.fingerprint: Mapping[str, Any] = self.attribute("fingerprint")
        self.axes = tuple(Axis(**axis) for axis in self.fingerprint["objectives"])

    @property
    def name(self) -> str:
        """Name of the study: that of its folder."""
        return self.folder.resolve().name

    @property
    def place(self) -> str:
        """Where it is kept, as messages name it."""
        return self._store.label

    @property
    def kept(self) -> str:
        """The file or the database that it is kept in."""
        return self._store.location

    @property
    def words(self) -> str:
        """The words that name it on a command line."""
        return f"study={self.folder}" + ("" if self._store.kind == "sqlite" else f" storage={self._store.kind}")

    def close(self) -> None:
        """Give the database's connections back."""
        self._store.close()

    def as_optuna(self) -> optuna.Study:
        """The stored study as Optuna sees it, for programs that read such studies."""
        return optuna.load_study(study_name=self._store.study, storage=self._storage)

    def read(self, act: Callable[[], T]) -> T:
        """What `act` reads through `as_optuna`, tried again while the database is away.

        Raises:
            StorageError: it stays away.
        """
        return self._store.retry(act)

    def is_driven(self) -> bool:
        """Whether some process drives the study now."""
        return self._store.is_driven()

    def trial_folder(self, number: int) -> Path:
        """Where a trial's checkpoints and log are."""
        return self.folder / "trials" / f"{number:05d}"

    def request_stop(self) -> None:
        """Ask whoever drives the study to end in order."""
        self._store.request_stop()

    def take_stop_request(self) -> bool:
        """Whether somebody has asked for an end since the last time."""
        return self._store.take_stop_request()

    def stop_waiting(self) -> None:
        """Give up on a database that is away sooner than usual, since the search is to end at once."""
        self._store.stop_waiting()

    def attribute(self, key: str) -> Any:
        """A study attribute that `set_attribute` stored, None where there is none."""
        return self._store.retry(lambda: self._storage.get_study_user_attrs(self._id)).get(key)

    def set_attribute(self, key: str, value: object) -> None:
        """Store a JSON value with the study."""
        self._store.retry(lambda: self._storage.set_study_user_attr(self._id, key, value))

    def add(self, candidate: Candidate) -> int:
        """Store a new trial as running, in one call; its number."""
        attrs = {
            "architecture": dict(candidate.architecture),
            "id": candidate.id,
            "network_id": candidate.network_id,
            "summary": candidate.summary,
            "costs": dict(candidate.costs),
            "ask": candidate.ask,
            "seed": candidate.seed,
            "skipped": dict(candidate.skipped),
            "rejected": [rejected.to_json() for rejected in candidate.rejected],
        }
        if candidate.inherits is not None:
            attrs["inherits"] = asdict(candidate.inherits)
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(candidate.params),
            distributions=dict(candidate.distributions),
            user_attrs=attrs,
            system_attrs=dict(candidate.sampler_attrs),
            constraints=dict(candidate.constraints) or None,
        )
        trial_id, number = self._store.add_trial(self._id, template, unique="ask")
        self._trial_ids[number] = trial_id
        return number

    def store_training(self, number: int, curve: Curve, training: TrainingState) -> None:
        """Store how far a running trial has come."""
        noted = {"curve": [row.to_json() for row in curve], "training": training.to_json()}
        self._store.set_attributes(self._trial_id(number), noted)

    def tell(self, number: int, values: Mapping[str, float]) -> None:
        """End a trial as complete with its objectives.

        Raises:
            ValueError: an objective is missing or NaN.
        """
        self._end(number, TrialState.COMPLETE, self._ordered(number, values))

    def store_repeat(self, number: int, index: int, repeat: Repeat) -> None:
        """Store how far a repeat has come, or how it ended; the trial's first one has index 1.

        Raises:
            ValueError: an objective is missing or NaN.
        """
        if repeat.values is not None:
            self._ordered(number, repeat.values)
        self.set_attribute(f"repeat:{number}:{index}", repeat.to_json())

    def _ordered(self, number: int, values: Mapping[str, float]) -> list[float]:
        ordered = [float(values[axis.name]) for axis in self.axes]
        if any(value != value for value in ordered):  # noqa: PLR0124 - NaN alone differs from itself
            raise ValueError(f"an objective must be a number, got {dict(values)} for trial {number}")
        return ordered

    def prune(self, number: int) -> None:
        """End a trial that is given up."""
        self._end(number, TrialState.PRUNED)

    def fail(self, number: int, failure: Failure) -> None:
        """End a trial as failed, with the reason."""
        self._store.set_attributes(self._trial_id(number), {"failure": failure.to_json()})
        self._end(number, TrialState.FAIL)

    def records(self) -> list[Record]:
        """All stored trials in order of their numbers."""
        repeats = self.repeats()  # first: only trials that are complete by then have any
        trials = self._store.retry(lambda: self._storage.get_all_trials(self._id, deepcopy=False))
        return [reduce(Record.with_repeat, repeats.get(trial.number, ()), self._record(trial)) for trial in trials]

    def repeats(self) -> dict[int, list[Repeat]]:
        """Further trainings of complete trials, in their order, by the trial's number."""
        stored = self._store.retry(lambda: self._storage.get_study_user_attrs(self._id))
        named = [match for key in stored if (match := _REPEAT.fullmatch(key))]
        found: dict[int, list[Repeat]] = {}
        for match in sorted(named, key=lambda match: int(match["index"])):
            found.setdefault(int(match["trial"]), []).append(Repeat.from_json(stored[match[0]]))
        return found

    def _end(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> None:
        self._store.end_trial(self._trial_id(number), state, values)

    def _trial_id(self, number: int) -> int:
        if number not in self._trial_ids:
            self._trial_ids[number] = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        return self._trial_ids[number]

    def _record(self, trial: FrozenTrial) -> Record:
        attrs = trial.user_attrs
        constraints = trial.constraints or {}
        candidate = Candidate(
            ask=attrs["ask"],
            params=trial.params,
            distributions=trial.distributions,
            architecture=attrs["architecture"],
            id=attrs["id"],
            network_id=attrs["network_id"],
            summary=attrs["summary"],
            costs=attrs["costs"],
            seed=attrs["seed"],
            constraints=constraints,
            rejected=tuple(Rejected.from_json(rejected) for rejected in attrs["rejected"]),
            skipped=attrs["skipped"],
            sampler_attrs={k: v for k, v in trial.system_attrs.items() if not k.startswith("constraints")},
            inherits=Descent(**attrs["inherits"]) if "inherits" in attrs else None,
        )
        complete = trial.state == TrialState.COMPLETE
        names = [axis.name for axis in self.axes]
        return Record(
            number=trial.number,
            state=_STATES[trial.state],
            candidate=candidate,
            curve=tuple(Epoch.from_json(row) for row in attrs.get("curve", ())),
            training=TrainingState.from_json(attrs.get("training", {})),
            values=dict(zip(names, trial.values, strict=True)) if complete else None,
            failure=Failure.from_json(attrs["failure"]) if "failure" in attrs else None,
        )


def create_study(folder: Path, fingerprint: Mapping[str, Any], store: Store | None = None) -> Study:
    """A new study.

    Args:
        folder: the study's folder, which exists.
        fingerprint: what the study is searched with; `objectives` are axes in JSON form.
        store: where it is kept, which holds no study yet; None for a file in the folder.

    Raises:
        ValueError: there is a study already.
    """
    store = store or SqliteStore(folder)
    if store.exists():
        raise ValueError(f"a new study needs a place without one, {store.label} has one")
    store.create(partial(_fill, fingerprint={**fingerprint, "format": FORMAT_VERSION}))
    store.record_driver()
    return Study(store, folder)


def _fill(storage: BaseStorage, name: str, fingerprint: Mapping[str, Any]) -> None:
    axes = fingerprint["objectives"]
    study = optuna.create_study(storage=storage, study_name=name, directions=[axis["direction"] for axis in axes])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names([axis["name"] for axis in axes])
    study.set_user_attr("fingerprint", fingerprint)


def open_study(folder: Path, store: Store | None = None) -> Study:
    """The study of a folder.

    Args:
        folder: the study's folder.
        store: where it is kept; None for a file in the folder.

    Raises:
        ValueError: there is none, or it is not one that this version reads.
    """
    store = store or SqliteStore(folder)
    store.check()
    study = Study(store, folder)
    if study.fingerprint.get("format") != FORMAT_VERSION:
        raise StudyMismatchError(
            f"format must be {FORMAT_VERSION}, got {study.fingerprint.get('format')} in {store.label}"
        )
    return study


def resume_study(folder: Path, fingerprint: Mapping[str, Any], store: Store | None = None) -> Study:
    """The study of a folder, made with the same things.

    Args:
        folder: the study's folder.
        fingerprint: what the study is searched with now.
        store: where it is kept; None for a file in the folder.

    Raises:
        StudyMismatchError: it was made with something else.
    """
    store = store or SqliteStore(folder)
    study = open_study(folder, store)
    found = differences(study.fingerprint, {**json.loads(json.dumps(fingerprint)), "format": FORMAT_VERSION})
    if found:
        raise StudyMismatchError(
            f"a study goes on with what it was made with; in {store.label} {'; '.join(found)}. Take another study=NAME"
        )
    store.record_driver()
    return study
