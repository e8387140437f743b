"""optuna-dashboard on a copy of a study, for this machine alone.

optuna-dashboard is made to write: whoever reaches it can delete a study, and it asks nobody who they are. So it is
given a copy in memory that follows the study, and every request that is not a plain read is refused, as is one that
came under another name than this machine's (a page elsewhere that had its name resolve to 127.0.0.1).
"""

from __future__ import annotations

import io
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from importlib.util import find_spec
from socketserver import ThreadingMixIn
from typing import Any, BinaryIO, final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from optuna.artifacts import ArtifactMeta
from optuna.artifacts.exceptions import ArtifactNotFound
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.study.storage.errors import StorageError
from nas.study.study import Study
from search_space.architecture import Architecture
from search_space.drawing import draw
from search_space.lowering import lower

HOST = "127.0.0.1"
FOLLOW_SECONDS = 3.0
READS = ("GET", "HEAD")
NAMESPACE = uuid.UUID("6f0cbb3c-52f2-4d3e-9a36-0d1f0e2b7a55")
MISSING = "optuna-dashboard must be installed for this: pip install 'inception-nas[dashboard]'"
LACKS = (
    "Hypervolume, limits, means over repeats, learning curves of several objectives and a logarithmic cost axis "
    "are not in it: nas report has them."
)

log = logging.getLogger(__name__)

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@final
class Drawings:
    """An artifact store that draws a trial's architecture when it is looked at, and takes nothing in."""

    def __init__(self) -> None:
        self._architectures: dict[str, Mapping[str, Any]] = {}

    def add(self, number: int, architecture: Mapping[str, Any]) -> str:
        """Identity of the drawing of a trial's architecture."""
        identity = str(uuid.uuid5(NAMESPACE, str(number)))
        self._architectures[identity] = architecture
        return identity

    def open_reader(self, artifact_id: str) -> BinaryIO:
        """The drawing as SVG.

        Raises:
            ArtifactNotFound: there is none of that identity.
        """
        if artifact_id not in self._architectures:
            raise ArtifactNotFound(f"an artifact must be the drawing of a trial, {artifact_id} is none")
        return io.BytesIO(draw(lower(Architecture.from_json(self._architectures[artifact_id]))).encode())

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:  # noqa: ARG002 - of Optuna's protocol
        """Refuse: a copy keeps nothing."""
        raise PermissionError(f"a copy of a study takes nothing in, got {artifact_id}")

    def remove(self, artifact_id: str) -> None:
        """Refuse: drawings are no files."""
        raise PermissionError(f"a copy of a study gives nothing up, got {artifact_id}")


@final
class Copy:
    """A study in memory that follows the stored one, with a drawing and a readable note for every trial."""

    def __init__(self, study: Study, reference: str) -> None:
        """Copy the study, which commands call `reference`; what is stored there is only read."""
        self.drawings = Drawings()
        self.storage = InMemoryStorage()
        self._reference = reference
        self._stored, self._source = study, study.as_optuna()
        self._study = self.storage.create_new_study(self._source.directions, study.name)
        self._states: list[TrialState] = []
        self._lock = threading.Lock()
        names = self._source.metric_names
        if names:
            self.storage.set_study_system_attr(self._study, "study:metric_names", names)
        self._set_note(None, f"A read-only copy of the study `{study.name}`, which follows it. {LACKS}")
        self.follow()
        study.stop_waiting()  # a page is not to hang: it shows what was there, and asks again

    def follow(self) -> None:
        """Take over what has happened since."""
        with self._lock:
            try:
                trials = self._stored.read(lambda: self._source.get_trials(deepcopy=False))
            except StorageError as error:
                log.warning("the copy stays as it is: %s", error)
                return
            for trial in trials:
                if trial.number == len(self._states):
                    self._add(trial)
                elif not self._states[trial.number].is_finished():
                    self._update(trial)

    def _add(self, trial: FrozenTrial) -> None:
        identity = self.drawings.add(trial.number, trial.user_attrs["architecture"])
        drawing = ArtifactMeta(identity, f"trial-{trial.number}.svg", "image/svg+xml", None)
        copied = create_trial(
            state=trial.state,
            values=trial.values,
            params=trial.params,
            distributions=trial.distributions,
            user_attrs=readable(trial),
            system_attrs={f"artifacts:{identity}": json.dumps(asdict(drawing))},
        )
        copied.datetime_start, copied.datetime_complete = trial.datetime_start, trial.datetime_complete
        trial_id = self.storage.create_new_trial(self._study, template_trial=copied)
        self._states.append(trial.state)
        self._set_note(trial_id, note(self._reference, trial))

    def _update(self, trial: FrozenTrial) -> None:
        trial_id = self.storage.get_trial_id_from_study_id_trial_number(self._study, trial.number)
        for name, value in readable(trial).items():
            self.storage.set_trial_user_attr(trial_id, name, value)
        self._set_note(trial_id, note(self._reference, trial))
        if trial.state.is_finished():
            self.storage.set_trial_state_values(trial_id, trial.state, trial.values)
        self._states[trial.number] = trial.state

    def _set_note(self, trial_id: int | None, text: str) -> None:
        """Store a note under the keys that optuna-dashboard reads."""
        prefix = "dashboard:" if trial_id is None else f"dashboard:{trial_id}:"
        self.storage.set_study_system_attr(self._study, f"{prefix}note_ver", 1)
        self.storage.set_study_system_attr(self._study, f"{prefix}note_str:0", text)


def readable(trial: FrozenTrial) -> dict[str, Any]:
    """What a person wants to see of a stored trial beside its parameters and values."""
    attrs = trial.user_attrs
    curve = attrs.get("curve", [])
    shown = {"network": attrs["summary"], "id": attrs["id"], **attrs["costs"], "epochs": len(curve)}
    shown["seconds"] = round(sum(row["seconds"] for row in curve), 1)
    if curve:
        shown |= {name: round(curve[-1][name], 4) for name in ("val_accuracy", "val_loss", "train_loss")}
    if "failure" in attrs:
        shown["failure"] = f"{attrs['failure']['kind']}: {attrs['failure']['message']}"
    return shown


def note(reference: str, trial: FrozenTrial) -> str:
    """A trial in a few lines of Markdown; texts of the study stand as code, in which nothing is markup."""
    shown = readable(trial)
    lines = [_code(shown.pop("network")), ""]
    lines += [f"* {name}: {_code(f'{value:,}' if isinstance(value, int) else value)}" for name, value in shown.items()]
    if trial.state == TrialState.COMPLETE:
        lines += ["", _code(f"nas retrain {reference} pick={trial.number}"), ""]
        lines += [_code(f"nas export {reference} pick={trial.number}")]
    return "\n".join(lines)


def _code(text: object) -> str:
    plain = " ".join(str(text).replace("`", "'").split())
    return f"`{plain}`"


def guarded(application: Wsgi, port: int, before: Callable[[], None]) -> Wsgi:
    """The application for readers on this machine alone.

    Args:
        application: what answers.
        port: that it is served on.
        before: called before a read of data is answered, a few seconds apart.
    """
    names = {f"{HOST}:{port}", f"localhost:{port}"}
    lock, last = threading.Lock(), [time.monotonic()]

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_HOST") not in names:
            return _refuse(start_response, "403 Forbidden", f"ask for {HOST}:{port}, not for another name")
        if environ["REQUEST_METHOD"] not in READS:
            return _refuse(start_response, "405 Method Not Allowed", "this is a copy of a study, for reading alone")
        with lock:
            if environ["PATH_INFO"].startswith("/api/") and time.monotonic() - last[0] >= FOLLOW_SECONDS:
                before()
                last[0] = time.monotonic()
        return application(environ, start_response)

    return answer


def _refuse(start_response: Callable[..., Any], status: str, why: str) -> Iterable[bytes]:
    body = json.dumps({"reason": why}).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


@final
class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


@final
class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Nothing: a line a request helps nobody."""


def dashboard_server(study: Study, reference: str, port: int) -> WSGIServer:
    """A server of a study on 127.0.0.1, ready to serve.

    Args:
        study: the study.
        reference: the words that name the study in a command.
        port: to listen on; 0 takes a free one.

    Raises:
        ValueError: optuna-dashboard is not installed, or the port is taken.
    """
    if find_spec("optuna_dashboard") is None:
        raise ValueError(MISSING)
    from optuna_dashboard import wsgi  # noqa: PLC0415 - of an extra

    try:
        server = make_server(HOST, port, _unready, server_class=_Server, handler_class=_Handler)
    except OSError as error:
        raise ValueError(
            f"port must be free on {HOST}, {port} is not ({error.strerror}); take another port="
        ) from error
    copy = Copy(study, reference)
    application: Wsgi = wsgi(copy.storage, artifact_store=copy.drawings)
    server.set_app(guarded(application, server.server_port, copy.follow))
    return server


def _unready(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    return _refuse(start_response, "503 Service Unavailable", "the study is being copied")
