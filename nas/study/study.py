"""Study: one Optuna study in a real database, the only log of trials and their results.

A stored trial is one architecture from the moment it was asked for. Beside Optuna's parameters, state and values it
has these user attributes:

* `architecture`, `id`, `network_id`, `summary`: the architecture and its identities;
* `costs`: exact costs by name, known before training;
* `ask`: running number of the ask that drew it, rejected and duplicate asks included;
* `rejected`: rejected asks since the last trial that were told to the sampler, so that a resumed search tells them too;
* `skipped`: counts of all asks since the last trial that led to none, `rejected` and `duplicates`;
* `seed`: seed of its training; `curve`: its learning curve; `training`: its `TrainingState`;
* `inherits`: the network whose weights it was to start from, if there was one;
* `failure`: kind and message, if it failed;
* `extrapolated`: names of costs that a model predicted outside the range of its fit, if there are any;
* `imported`: true for a result of a training elsewhere.

A study of one objective has its value after each epoch as Optuna's intermediate values, by epoch, too.

The study's own attribute `fingerprint` is what a resumed search must share. Repeats of complete trials are attributes
of the study too, `repeat:TRIAL:1` and so on, since a trial that has ended cannot be changed: its stored values are
those of its own training, and `records` returns the means.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import optuna
from optuna.trial import TrialState, create_trial

from nas.jobs import Curve, Failure
from nas.jobs.links import refuse_links
from nas.study.belief import Believer
from nas.study.belief.stored import stored_believer
from nas.study.checked import shown
from nas.study.differences import differences
from nas.study.folders import TRIALS
from nas.study.reading import Reading
from nas.study.storage.sqlite import SqliteStore
from nas.study.storage.store import Store
from nas.study.stored_study import create_optuna_study
from nas.study.training_state import TrainingState
from nas.study.trial import Candidate, Record, Repeat
from nas.study.trials_reader import TrialsReader

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

FORMAT_VERSION = 1

T = TypeVar("T")
Values = Callable[[Curve, Mapping[str, float]], Mapping[str, float]]
"""Objectives by name at the end of a learning curve, given the network's costs."""


class StudyMismatchError(ValueError):
    """Study with another fingerprint than the one asked for; the message says what differs."""


optuna.logging.set_verbosity(optuna.logging.ERROR)  # it logs every new study and every experimental sampler


class Study:
    """A stored study, for its one driver and for any reader."""

    def __init__(self, store: Store, folder: Path) -> None:
        """Open what `create_study` made."""
        self._store = store
        self._trial_ids: dict[int, int] = {}
        self._costs: dict[int, Mapping[str, float]] = {}
        self._values: Values | None = None
        self.folder = folder
        self._reader = TrialsReader(store, self.name)
        self.fingerprint, self.axes = self._reader.fingerprint, self._reader.axes
        self._believer: Believer | None = None

    @cached_property
    def _storage(self) -> BaseStorage:
        return self._store.retry(lambda: self._store.storage)

    @cached_property
    def _id(self) -> int:
        return self._store.retry(lambda: self._storage.get_study_id_from_name(self._store.study))

    @property
    def believer(self) -> Believer:
        """Believer of its trials; a search sets its own."""
        if self._believer is None:
            config, images = self.attribute("config"), self.attribute("validation_images")
            self._believer = stored_believer(self.fingerprint, self.axes, config, images)
        return self._believer

    @believer.setter
    def believer(self, believer: Believer) -> None:
        self._believer = believer

    @property
    def name(self) -> str:
        """Name of the study: that of its folder."""
        return self.folder.resolve().name

    @property
    def label(self) -> str:
        """Name of its folder or database in messages."""
        return self._store.label

    @property
    def location(self) -> str:
        """File or database in which it is stored."""
        return self._store.location

    @property
    def kind(self) -> str:
        """Kind of its database."""
        return self._store.kind

    @property
    def overrides(self) -> str:
        """Overrides that name it on a command line."""
        return f"study={self.folder}" + ("" if self._store.kind == "sqlite" else f" storage={self._store.kind}")

    @property
    def words(self) -> list[str]:
        """Overrides that name it, one by one, not quoted for a shell."""
        return [f"study={self.folder}", *([] if self._store.kind == "sqlite" else [f"storage={self._store.kind}"])]

    def close(self) -> None:
        """Close the connections to the database."""
        self._store.close()

    def as_optuna(self) -> optuna.Study:
        """Return the stored study as an Optuna study, for programs that read such studies."""
        return optuna.load_study(study_name=self._store.study, storage=self._storage)

    def is_driven(self) -> bool:
        """Return whether a process drives the study now."""
        return self._store.is_driven()

    def trial_folder(self, number: int) -> Path:
        """Return the folder of a trial's checkpoints and log."""
        folder = self.folder / TRIALS / f"{number:05d}"
        refuse_links(self.folder, folder)
        return folder

    def request_stop(self) -> None:
        """Ask the driver of the study to stop after the current epochs."""
        self._store.request_stop()

    def take_stop_request(self) -> bool:
        """Remove a stop request; return whether there was one."""
        return self._store.take_stop_request()

    def stop_waiting(self) -> None:
        """Retry no longer while the database is unavailable, since the search is to end at once."""
        self._store.stop_waiting()

    def attribute(self, key: str) -> Any:
        """Return a study attribute stored by `set_attribute`; None if there is none.

        One that is damaged counts as none, and is logged once.
        """
        return self._reader.attribute(key)

    def set_attribute(self, key: str, value: object) -> None:
        """Store a JSON value with the study."""
        self._store.retry(lambda: self._storage.set_study_user_attr(self._id, key, value))

    def report_epochs(self, values: Values) -> None:
        """Store the objective after each epoch as Optuna's intermediate values, with every curve from now on.

        Optuna has none for several objectives, and nothing changes for a study of several.

        Args:
            values: returns the objectives at the end of a curve of at least one epoch.
        """
        self._values = values if len(self.axes) == 1 else None

    def add(self, candidate: Candidate) -> int:
        """Store a new trial as running, or start the one that waits for it, in one call; return its number."""
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
        if candidate.extrapolated:
            attrs["extrapolated"] = list(candidate.extrapolated)
        if candidate.imported:
            attrs["imported"] = True
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(candidate.params),
            distributions=dict(candidate.distributions),
            user_attrs=attrs,
            system_attrs=dict(candidate.sampler_attrs),
            constraints=dict(candidate.constraints) or None,
        )
        if candidate.trial is not None:
            self._store.start_trial(self._trial_id(candidate.trial), template)
            return candidate.trial
        trial_id, number = self._store.add_trial(self._id, template, unique="ask")
        self._trial_ids[number] = trial_id
        return number

    def store_training(self, number: int, curve: Curve, training: TrainingState) -> None:
        """Store the curve and the training state of a running trial."""
        noted = {"curve": [row.to_json() for row in curve], "training": training.to_json()}
        self._store.set_attributes(self._trial_id(number), noted, self._steps(number, curve))

    def _steps(self, number: int, curve: Curve) -> dict[int, float]:
        """Return the one objective of a trial after each epoch of its curve, by epoch; empty for several."""
        if self._values is None:
            return {}
        if number not in self._costs:
            attributes = self._store.retry(lambda: self._storage.get_trial(self._trial_id(number)).user_attrs)
            self._costs[number] = attributes["costs"]
        costs, name = self._costs[number], self.axes[0].name
        validated = [row.epoch for row in curve if row.validated]
        return {epoch: float(self._values(curve[:epoch], costs)[name]) for epoch in validated}

    def tell(self, number: int, values: Mapping[str, float]) -> None:
        """End a trial as complete with its objectives.

        Raises:
            ValueError: an objective is missing or NaN.
        """
        self._end(number, TrialState.COMPLETE, self._ordered(number, values))

    def store_repeat(self, number: int, index: int, repeat: Repeat) -> None:
        """Store a repeat of a trial.

        Args:
            number: number of the trial.
            index: index of the repeat, from 1.
            repeat: the repeat.

        Raises:
            ValueError: an objective is missing or NaN.
        """
        if repeat.values is not None:
            self._ordered(number, repeat.values)
        self.set_attribute(f"repeat:{number}:{index}", repeat.to_json())

    def _ordered(self, number: int, values: Mapping[str, float]) -> list[float]:
        ordered = [float(values[axis.name]) for axis in self.axes]
        if not all(map(math.isfinite, ordered)):
            raise ValueError(f"an objective must be a number, got {dict(values)} for trial {number}")
        return ordered

    def prune(self, number: int) -> None:
        """End a trial as pruned."""
        self._end(number, TrialState.PRUNED)

    def fail(self, number: int, failure: Failure) -> None:
        """End a trial as failed, with the reason."""
        self._store.set_attributes(self._trial_id(number), {"failure": failure.to_json()}, {})
        self._end(number, TrialState.FAIL)

    def records(self) -> list[Record]:
        """Return the stored trials that can be read, in order of their numbers; see `read_records`."""
        return self.read_records().records

    def read_records(self, earlier: Reading | None = None) -> Reading:
        """Return the stored trials that can be read.

        What is left out is logged, once for each study that was opened. Parameters and rejected asks, which few need,
        are read when they are asked for; those that can't be read are empty.

        Args:
            earlier: an earlier reading, which is returned if nothing has been stored since; else trials that had ended
                are not read again, and the records of all that have not changed are the same objects.

        Raises:
            DamagedStudyError: there are trials, and none can be read.
            StudyReplacedError: it was deleted after the earlier reading, and another was made under its name.
        """
        reading = self._reader.read(earlier)
        if earlier is not None and reading.settings != earlier.settings:
            self._believer = None  # a later search has other limits
        return reading

    def read_trials(self) -> Reading:
        """Return the stored trials with all that a search needs of them, and what is left out, logged as by `records`.

        Raises:
            DamagedStudyError: there are trials, and none can be read.
        """
        return self._reader.read_all(self._store.trials)

    def read_frozen(self) -> Reading:
        """Return the stored trials as `read_trials` does, beside Optuna's `FrozenTrial` of each.

        Raises:
            DamagedStudyError: there are trials, and none can be read.
        """
        return self._reader.read_all(self._store.frozen_trials)

    def _end(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> None:
        self._store.end_trial(self._trial_id(number), state, values)

    def _trial_id(self, number: int) -> int:
        if number not in self._trial_ids:
            self._trial_ids[number] = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        return self._trial_ids[number]


def create_study(folder: Path, fingerprint: Mapping[str, Any], store: Store | None = None) -> Study:
    """Create a study.

    Args:
        folder: the study's folder, which exists.
        fingerprint: fingerprint of the study; `objectives` are axes in JSON form.
        store: database without a study; None for a file in the folder.

    Raises:
        ValueError: the database has a study.
    """
    store = store or SqliteStore(folder)
    if store.exists():
        raise ValueError(f"a new study needs a place without one, {store.label} has one")
    store.create(partial(create_optuna_study, fingerprint={**fingerprint, "format": FORMAT_VERSION}))
    store.record_driver()
    return Study(store, folder)


def open_study(folder: Path, store: Store | None = None) -> Study:
    """Open the study of a folder.

    Args:
        folder: the study's folder.
        store: its database; None for a file in the folder.

    Raises:
        ValueError: there is no study, or one of another format version.
    """
    store = store or SqliteStore(folder)
    store.check()
    study = Study(store, folder)
    if study.fingerprint.get("format") != FORMAT_VERSION:
        raise StudyMismatchError(
            f"format must be {FORMAT_VERSION}, got {shown(study.fingerprint.get('format'))} in {store.label}"
        )
    return study


def resume_study(folder: Path, fingerprint: Mapping[str, Any], store: Store | None = None) -> Study:
    """Open the study of a folder, to search on.

    Args:
        folder: the study's folder.
        fingerprint: fingerprint of the search.
        store: its database; None for a file in the folder.

    Raises:
        StudyMismatchError: the study has another fingerprint.
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
