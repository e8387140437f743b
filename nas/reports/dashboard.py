"""optuna-dashboard on a copy of a study, on the loopback address.

optuna-dashboard can write, and has no authentication: any client can delete a study. So it gets a copy in memory that
follows the study. Every request that is not a read is refused, and so is one with another Host header than this
machine's (DNS rebinding: a page elsewhere whose name resolves to 127.0.0.1).
"""

from __future__ import annotations

import io
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from socketserver import ThreadingMixIn
from typing import Any, BinaryIO, final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.artifacts import ArtifactMeta
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.jobs import validated_part
from nas.reports.dashboard_plot import front_parts
from nas.study.reading import Reading
from nas.study.storage.errors import StorageError
from nas.study.study import Study
from nas.study.summary import shown_state
from nas.study.trial import Record, State
from nas.study.trials_reader import DamagedStudyError
from search_space.architecture import Architecture
from search_space.drawing import draw
from search_space.lowering import lower

HOST = "127.0.0.1"
FROZEN = "frozen"
FOLLOW_SECONDS = 3.0
READ_METHODS = ("GET", "HEAD")
NAMESPACE = uuid.UUID("6f0cbb3c-52f2-4d3e-9a36-0d1f0e2b7a55")
MISSING = "optuna-dashboard must be installed for this: pip install 'inception-nas[dashboard]'"
OMISSIONS = (
    "It does not show hypervolume, limits, means over repeated trainings or learning curves of several objectives, and "
    "its own figures have linear cost axes: nas report does, and nas ui follows a search."
)
LEGEND = (
    "The figure *Front on logarithmic axes* is below its own ones. *Waiting* trials are frozen: they have been trained "
    "in part, and wait for their next epochs. Edits by the pencils are refused: this copy can't be written to."
)

log = logging.getLogger(__name__)

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@final
class Drawings:
    """Read-only artifact store that draws a trial's architecture when the drawing is requested."""

    def __init__(self) -> None:
        self._architectures: dict[str, Mapping[str, Any]] = {}

    def add(self, number: int, architecture: Mapping[str, Any]) -> str:
        """Register a trial's architecture and return the artifact id of its drawing."""
        identity = str(uuid.uuid5(NAMESPACE, str(number)))
        self._architectures[identity] = architecture
        return identity

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """Return the drawing as SVG.

        Raises:
            ArtifactNotFound: no trial's drawing has that id.
        """
        if artifact_id not in self._architectures:
            raise ArtifactNotFound(f"an artifact must be the drawing of a trial, {artifact_id} is none")
        return io.BytesIO(draw(lower(Architecture.from_json(self._architectures[artifact_id]))).encode())

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:  # noqa: ARG002 - of Optuna's protocol
        """Refuse: the copy is read-only.

        Raises:
            PermissionError: always.
        """
        raise PermissionError(f"artifacts of a copied study are read-only, got a write of {artifact_id}")

    def remove(self, artifact_id: str) -> None:
        """Refuse: the copy is read-only.

        Raises:
            PermissionError: always.
        """
        raise PermissionError(f"artifacts of a copied study are read-only, got a removal of {artifact_id}")


@final
class StudyCopy:
    """Copy of a study in memory that follows the stored one, with a drawing and a readable note for every trial."""

    def __init__(self, study: Study, reference: str) -> None:
        """Copy the study without writing to it.

        Args:
            study: the study.
            reference: overrides that name the study in a command, such as `study=mine`.
        """
        self.drawings = Drawings()
        self.storage = InMemoryStorage()
        self._reference = reference
        self._stored = study
        directions = [StudyDirection[axis.direction.upper()] for axis in study.axes]
        self._study = self.storage.create_new_study(directions, study.name)
        self._states: list[TrialState] = []
        self._drawn: set[str] = set()
        self._complete: int | None = None
        self._lock = threading.Lock()
        self.storage.set_study_system_attr(self._study, "study:metric_names", [axis.name for axis in study.axes])
        for name, text in (("read-only copy", LEGEND), ("limits of this page", OMISSIONS)):
            self.storage.set_study_user_attr(self._study, name, text)  # on the first page, beside the note's own
        self._set_note(None, f"A read-only copy of the study `{study.name}`, which follows it. {LEGEND} {OMISSIONS}")
        self._take(study.read_frozen())
        study.stop_waiting()  # a page must not hang: if the database is locked, it shows the last copy and asks again

    def follow(self) -> None:
        """Copy what has changed in the stored study since the last call."""
        with self._lock:
            try:
                self._take(self._stored.read_frozen())
            except (StorageError, DamagedStudyError) as error:
                log.warning("the copy is not updated: %s", error)

    def _take(self, reading: Reading) -> None:
        """Copy trials that are new or were running; one that can't be read is copied as failed, with the reason."""
        records = {record.number: record for record in reading.records}
        self._driven = self._stored.is_driven()
        self._draw_front(reading.records)
        frozen = {number: trial for number, trial in reading.trials.items() if isinstance(trial, FrozenTrial)}
        for number in range(max(reading.numbers, default=-1) + 1):
            record, trial = records.get(number), frozen.get(number)
            if number < len(self._states):
                if record and trial and not self._states[number].is_finished():
                    self._update(record, trial)
            elif record and trial:
                self._add(record, trial)
            else:
                self._add_left_out(number, reading.reason(number), trial)

    def _draw_front(self, records: Sequence[Record]) -> None:
        """Draw the front anew if a trial has become complete."""
        complete = sum(record.values is not None for record in records)
        if complete in (0, self._complete):
            return
        self._complete, parts = complete, front_parts(records, self._stored.believer)
        for key, part in (dict.fromkeys(self._drawn - parts.keys(), "") | parts).items():
            self.storage.set_study_system_attr(self._study, key, part)
        self._drawn |= parts.keys()

    def _state(self, record: Record, trial: FrozenTrial) -> TrialState:
        """Return the state of a trial in the copy: a frozen one waits."""
        return TrialState.WAITING if shown_state(record, driven=self._driven) == FROZEN else trial.state

    def _add(self, record: Record, trial: FrozenTrial) -> None:
        identity, drawing = self._drawing(record)
        copied = create_trial(
            state=self._state(record, trial),
            values=_own_values(record),
            params=dict(record.candidate.params),
            distributions=dict(record.candidate.distributions),
            user_attrs=shown_attributes(record, driven=self._driven),
            intermediate_values=trial.intermediate_values,
            system_attrs={f"artifacts:{identity}": drawing},
        )
        copied.datetime_start, copied.datetime_complete = trial.datetime_start, trial.datetime_complete
        trial_id = self.storage.create_new_trial(self._study, template_trial=copied)
        self._states.append(copied.state)
        self._set_note(trial_id, trial_note(self._reference, record, driven=self._driven))

    def _add_left_out(self, number: int, why: str, trial: FrozenTrial | None) -> None:
        """Add a trial that is left out; one of another program that has not ended may be read later."""
        state = trial.state if trial is not None and not trial.state.is_finished() else TrialState.FAIL
        copied = create_trial(state=state, user_attrs={"left out": why})
        trial_id = self.storage.create_new_trial(self._study, template_trial=copied)
        self._states.append(state)
        self._set_note(trial_id, f"trial {number}: {_code(why)}")

    def _drawing(self, record: Record) -> tuple[str, str]:
        """Return the id of a trial's drawing, and its description as optuna-dashboard stores it."""
        identity = self.drawings.add(record.number, record.candidate.architecture)
        return identity, json.dumps(asdict(ArtifactMeta(identity, f"trial-{record.number}.svg", "image/svg+xml", None)))

    def _update(self, record: Record, trial: FrozenTrial) -> None:
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(self._study, record.number)
        if not self.storage.get_trial(trial_id).params:  # it was left out until now
            identity, drawing = self._drawing(record)
            self.storage.set_trial_system_attr(trial_id, f"artifacts:{identity}", drawing)
            for name, value in record.candidate.params.items():
                kind = record.candidate.distributions[name]
                self.storage.set_trial_param(trial_id, name, kind.to_internal_repr(value), kind)
        for name, value in shown_attributes(record, driven=self._driven).items():
            self.storage.set_trial_user_attr(trial_id, name, value)
        for step, value in trial.intermediate_values.items():
            self.storage.set_trial_intermediate_value(trial_id, step, value)
        self._set_note(trial_id, trial_note(self._reference, record, driven=self._driven))
        state = self._state(record, trial)
        if state != self._states[record.number]:
            self.storage.set_trial_state_values(trial_id, state, _own_values(record))
        self._states[record.number] = state

    def _set_note(self, trial_id: int | None, text: str) -> None:
        """Store a note under the keys that optuna-dashboard reads."""
        prefix = "dashboard:" if trial_id is None else f"dashboard:{trial_id}:"
        self.storage.set_study_system_attr(self._study, f"{prefix}note_ver", 1)
        self.storage.set_study_system_attr(self._study, f"{prefix}note_str:0", text)


def shown_attributes(record: Record, *, driven: bool) -> dict[str, Any]:
    """Return the attributes that the dashboard shows of a trial beside its parameters and values.

    Args:
        record: the trial.
        driven: whether a process drives the study now.
    """
    candidate, curve = record.candidate, record.curve
    shown = {"network": candidate.summary, "id": candidate.id, **candidate.costs, "epochs": len(curve)}
    shown["state"] = shown_state(record, driven=driven)
    shown["seconds"] = round(record.seconds, 1)
    if scored := validated_part(curve):
        shown |= {name: round(getattr(scored[-1], name), 4) for name in ("val_accuracy", "val_loss", "train_loss")}
    if candidate.imported:
        shown["imported"] = True
    if record.failure:
        shown["failure"] = f"{record.failure.kind}: {record.failure.message}"
    return shown


def _own_values(record: Record) -> list[float] | None:
    """Return the objectives of a trial's own training, None unless it is complete."""
    values = record.own_values or record.values
    return None if values is None else list(values.values())


def trial_note(reference: str, record: Record, *, driven: bool) -> str:
    """Return a trial in a few lines of Markdown; texts of the study are code spans, in which nothing is markup."""
    shown = shown_attributes(record, driven=driven)
    lines = [_code(shown.pop("network")), ""]
    lines += [f"* {name}: {_code(f'{value:,}' if isinstance(value, int) else value)}" for name, value in shown.items()]
    if record.state == State.COMPLETE:
        lines += ["", _code(f"nas retrain {reference} pick={record.number}"), ""]
        lines += [_code(f"nas export {reference} pick={record.number}")]
    return "\n".join(lines)


def _code(text: object) -> str:
    plain = " ".join(str(text).replace("`", "'").split())
    return f"`{plain}`"


def guard(application: Wsgi, port: int, before: Callable[[], None]) -> Wsgi:
    """Return the application behind a guard that answers only reads from this machine.

    Args:
        application: the WSGI application.
        port: the port that it is served on.
        before: called before a request for data, at most once in `FOLLOW_SECONDS`.
    """
    names = {f"{HOST}:{port}", f"localhost:{port}"}
    lock, last = threading.Lock(), [time.monotonic()]

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_HOST") not in names:
            return _refuse(start_response, "403 Forbidden", f"the host must be {HOST}:{port} or localhost:{port}")
        if environ["REQUEST_METHOD"] not in READ_METHODS:
            return _refuse(start_response, "405 Method Not Allowed", "the copy of the study is read-only")
        with lock:
            if environ["PATH_INFO"].startswith("/api/") and time.monotonic() - last[0] >= FOLLOW_SECONDS:
                before()
                last[0] = time.monotonic()
        return application(environ, start_response)

    return answer


def _refuse(start_response: Callable[..., Any], status: str, reason: str) -> Iterable[bytes]:
    body = json.dumps({"reason": reason}).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


@final
class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@final
class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Log nothing: one line for each request is noise."""


def dashboard_server(study: Study, reference: str, port: int) -> WSGIServer:
    """Return a server of a copy of the study on 127.0.0.1, listening but not yet serving.

    Args:
        study: the study.
        reference: overrides that name the study in a command, such as `study=mine`.
        port: port to listen on, 0 for a free one.

    Raises:
        ValueError: optuna-dashboard is not installed, or the port is taken.
    """
    if find_spec("optuna_dashboard") is None:
        raise ValueError(MISSING)
    from optuna_dashboard import wsgi  # noqa: PLC0415 - in the dashboard extra

    try:
        server = make_server(HOST, port, _not_ready, server_class=_Server, handler_class=_Handler)
    except OSError as error:
        raise ValueError(
            f"port must be free on {HOST}, {port} is not ({error.strerror}); take another port="
        ) from error
    copy = StudyCopy(study, reference)
    application: Wsgi = wsgi(copy.storage, artifact_store=copy.drawings)
    server.set_app(guard(application, server.server_port, copy.follow))
    return server


def _not_ready(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    return _refuse(start_response, "503 Service Unavailable", "the study is being copied")
