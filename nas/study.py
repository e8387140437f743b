"""The study: one Optuna study in a real database, the only log of what was tried and what came of it.

A stored trial is one architecture from the moment it was asked for. Beside Optuna's parameters, state and values it
carries these user attributes:

* `architecture`, `id`, `network_id`, `summary`: what it is; * `costs`: params, MACs and memory, known before
training; * `ask`: the running number of the ask that drew it, counting rejected and duplicate ones; `rejected` and
`duplicates`: the
  asks before it that led to no trial, so that a resumed search sees what an unbroken one saw;
* `seed`: of its training; `curve`: its learning curve; `training`: attempt, checkpoint, seconds and the search's clock;
* `failure`: kind and message, where it failed.

What the study was searched with stands in the study's own attribute `fingerprint`.
"""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.jobs import Curve, Epoch, Failure
from nas.pareto import Axis
from nas.records import Candidate, Record, Rejected
from nas.writing import write

FORMAT_VERSION = 1
STUDY_FILE = "study.db"
STUDY_NAME = "study"
STOP_FILE = "stop"
LOCK_TIMEOUT = 30.0

T = TypeVar("T")


class StudyMismatchError(ValueError):
    """A study that was made with something else than what is asked for now; the message says what differs."""


optuna.logging.set_verbosity(optuna.logging.ERROR)  # it announces every study and every sampler it finds odd

_STATES = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.WAITING: "waiting",
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


def _connect(path: Path) -> RDBStorage:
    def connection() -> sqlite3.Connection:
        made = sqlite3.connect(path, timeout=LOCK_TIMEOUT, check_same_thread=False)
        made.execute("PRAGMA synchronous=NORMAL")  # with WAL: safe against any process dying, a third faster
        return made

    # The path goes past the URL, where `?` and braces would have a meaning.
    return RDBStorage(f"sqlite:///{STUDY_FILE}", engine_kwargs={"creator": connection})


class Study:
    """The stored study, as its one driver and as any reader see it."""

    def __init__(self, storage: RDBStorage, folder: Path) -> None:
        """Open what `create` or `open_study` made."""
        self._storage = storage
        self._id = storage.get_study_id_from_name(STUDY_NAME)
        self._trial_ids: dict[int, int] = {}
        self.folder = folder
        attrs = storage.get_study_user_attrs(self._id)
        self.fingerprint: Mapping[str, Any] = attrs["fingerprint"]
        self.axes = tuple(Axis(**axis) for axis in self.fingerprint["objectives"])

    @property
    def name(self) -> str:
        """Name of the study: that of its folder."""
        return self.folder.resolve().name

    def close(self) -> None:
        """Give the database's connections back."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def trial_folder(self, number: int) -> Path:
        """Where a trial's checkpoints and log are."""
        return self.folder / "trials" / f"{number:05d}"

    def request_stop(self) -> None:
        """Ask whoever drives the study to end in order, by a file in its folder."""
        (self.folder / STOP_FILE).touch()

    def take_stop_request(self) -> bool:
        """Whether somebody has asked for an end since the last time."""
        path = self.folder / STOP_FILE
        if not path.exists():
            return False
        path.unlink()
        return True

    def attribute(self, key: str) -> Any:
        """A study attribute that `set_attribute` stored, None where there is none."""
        return self._storage.get_study_user_attrs(self._id).get(key)

    def set_attribute(self, key: str, value: object) -> None:
        """Store a JSON value with the study."""
        self._write(lambda: self._storage.set_study_user_attr(self._id, key, value))

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
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(candidate.params),
            distributions=dict(candidate.distributions),
            user_attrs=attrs,
            system_attrs=dict(candidate.sampler_attrs),
            constraints=dict(candidate.constraints) or None,
        )
        trial_id = self._write(lambda: self._storage.create_new_trial(self._id, template_trial=template))
        number = self._storage.get_trial_number_from_id(trial_id)
        self._trial_ids[number] = trial_id
        return number

    def note(self, number: int, curve: Curve, training: Mapping[str, Any]) -> None:
        """Store how far a running trial has come."""
        trial_id = self._trial_id(number)
        self._set(trial_id, "curve", [row.to_json() for row in curve])
        self._set(trial_id, "training", dict(training))

    def tell(self, number: int, values: Mapping[str, float]) -> None:
        """End a trial as complete with its objectives.

        Raises:
            ValueError: an objective is missing or NaN.
        """
        ordered = [float(values[axis.name]) for axis in self.axes]
        if any(value != value for value in ordered):  # noqa: PLR0124 - NaN alone differs from itself
            raise ValueError(f"an objective must be a number, got {dict(values)} for trial {number}")
        self._end(number, TrialState.COMPLETE, ordered)

    def prune(self, number: int) -> None:
        """End a trial that is given up."""
        self._end(number, TrialState.PRUNED)

    def fail(self, number: int, failure: Failure) -> None:
        """End a trial as failed, with the reason."""
        self._set(self._trial_id(number), "failure", {"kind": failure.kind, "message": failure.message})
        self._end(number, TrialState.FAIL)

    def records(self) -> list[Record]:
        """All stored trials in order of their numbers."""
        return [self._record(trial) for trial in self._storage.get_all_trials(self._id, deepcopy=False)]

    def _set(self, trial_id: int, key: str, value: object) -> None:
        self._write(lambda: self._storage.set_trial_user_attr(trial_id, key, value))

    def _end(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> None:
        trial_id = self._trial_id(number)
        self._write(lambda: self._storage.set_trial_state_values(trial_id, state, values))

    def _write(self, act: Callable[[], T]) -> T:
        return write(act, self.folder / STUDY_FILE)

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
        )
        complete = trial.state == TrialState.COMPLETE
        names = [axis.name for axis in self.axes]
        return Record(
            number=trial.number,
            state=_STATES[trial.state],
            candidate=candidate,
            curve=tuple(Epoch.from_json(row) for row in attrs.get("curve", ())),
            training=attrs.get("training", {}),
            values=dict(zip(names, trial.values, strict=True)) if complete else None,
            failure=Failure(**attrs["failure"]) if "failure" in attrs else None,
        )


def create_study(folder: Path, fingerprint: Mapping[str, Any]) -> Study:
    """A new study in `folder`.

    The file bears its name once it is whole, so that a process killed on the way leaves no half study behind.

    Args:
        folder: the study's folder, which exists and holds no study.
        fingerprint: what the study is searched with; `objectives` are axes in JSON form.

    Raises:
        ValueError: the folder holds a study.
    """
    path, part = folder / STUDY_FILE, folder / f".{STUDY_FILE}.part"
    if path.exists():
        raise ValueError(f"a new study needs a folder without one, {folder} has one")
    for left in folder.glob(f"{part.name}*"):
        left.unlink()
    with closing(sqlite3.connect(part, timeout=LOCK_TIMEOUT)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")  # a property of the file: once is enough
    axes = fingerprint["objectives"]
    storage = _connect(part)
    study = optuna.create_study(storage=storage, study_name=STUDY_NAME, directions=[axis["direction"] for axis in axes])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names([axis["name"] for axis in axes])
    study.set_user_attr("fingerprint", {**fingerprint, "format": FORMAT_VERSION})
    storage.remove_session()
    storage.engine.dispose()  # the last connection takes the write-ahead log into the file
    part.replace(path)
    return Study(_connect(path), folder)


def open_study(folder: Path) -> Study:
    """The study in `folder`.

    Raises:
        ValueError: there is none, or the file is not one that this version reads.
    """
    path = folder / STUDY_FILE
    if not path.is_file():
        raise ValueError(f"a study must be a folder with {STUDY_FILE}, there is none in {folder}")
    _check_file(path)
    study = Study(_connect(path), folder)
    if study.fingerprint.get("format") != FORMAT_VERSION:
        raise StudyMismatchError(f"format must be {FORMAT_VERSION}, got {study.fingerprint.get('format')} in {path}")
    return study


def _check_file(path: Path) -> None:
    """Refuse what is no study before Optuna opens it: Optuna would make its tables in any database."""
    marked = (
        "SELECT 1 FROM studies JOIN study_user_attributes USING (study_id) WHERE study_name = ? AND key = 'fingerprint'"
    )
    try:
        with closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT)) as connection:
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            ours = damage == "ok" and connection.execute(marked, (STUDY_NAME,)).fetchone()
    except sqlite3.DatabaseError as error:
        raise ValueError(f"a study must be a database made by nas search, got {path}: {error}") from None
    if damage != "ok":
        raise ValueError(f"a study must be an undamaged database, got {path}: {' '.join(damage.split())}")
    if not ours:
        raise ValueError(f"a study must have been made by nas search, {path} was not")


def resume_study(folder: Path, fingerprint: Mapping[str, Any]) -> Study:
    """The study in `folder`, made with the same things.

    Raises:
        StudyMismatchError: it was made with something else.
    """
    study = open_study(folder)
    found = differences(study.fingerprint, {**json.loads(json.dumps(fingerprint)), "format": FORMAT_VERSION})
    if found:
        raise StudyMismatchError(
            f"a study goes on with what it was made with; in {folder} {'; '.join(found)}. Take another study=NAME"
        )
    return study
