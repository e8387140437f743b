"""Commands with PostgreSQL: a search over a restart of the server, readers elsewhere, and mistakes in one line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from engine import candidate, curve, fingerprint
from live_server import join_followers
from postgres_server import PASSWORD, Database

from nas.cli import main
from nas.reports.document import ReportContext
from nas.reports.live.follower import Follower, Source
from nas.study.storage.factory import locked_store, study_names
from nas.study.study import create_study, resume_study
from nas.study.summary import open_for_reading
from nas.study.training_state import TrainingState

PATIENCE = 120.0
WORDS = [
    "search",
    "study=mine",
    "storage=postgres",
    "sampler=random",
    "fidelity=full",
    "budget.trials=4",
    "training.epochs=3",
    "workers.slots=1",
    "data.train_fraction=0.3",
    "tracking.mode=offline",
]
Start = Callable[..., subprocess.Popen[bytes]]
SECRETS = (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD))


def wait_until(condition: Callable[[], bool], what: Callable[[], str]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, what()
        time.sleep(0.05)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `nas search` in a folder of its own, which also holds its output."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(home: Path, *words: str) -> subprocess.Popen[bytes]:
        home.mkdir(exist_ok=True)
        own = {"NAS_CACHE_DIR": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1", "HYDRA_FULL_ERROR": "1"}
        command = [sys.executable, "-m", "nas", *WORDS, *words]
        with (home / "stdout.txt").open("ab") as out, (home / "stderr.txt").open("ab") as err:
            environment = os.environ | own
            process = subprocess.Popen(
                command, stdout=out, stderr=err, cwd=home, env=environment, start_new_session=True
            )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def said(home: Path) -> str:
    return (home / "stderr.txt").read_text()


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main([*words, "study=mine", "storage=postgres", "format=json"]) == 0
    return json.loads(capsys.readouterr().out)


def places_with_a_secret(*folders: Path) -> list[Path]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    contents = [(path, path.read_bytes()) for path in files]
    return [path for path, content in contents if any(secret.encode() in content for secret in SECRETS)]


def command_lines(leader: int) -> bytes:
    """Return the command lines of the living processes of a session."""
    found = b""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[3]) == leader:
                found += (stat.parent / "cmdline").read_bytes() + b"\n"
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def complete(capsys: pytest.CaptureFixture[str]) -> int:
    return int(printed(capsys, "status")["trials"]["complete"])


@pytest.mark.slow
def test_a_search_survives_a_restart_is_read_elsewhere_and_never_shows_the_password(
    database: Database,
    tmp_path: Path,
    start: Start,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    process = start(here, "budget.trials=100000")  # ends by no speed of this machine, but by the request below
    trials = here / "outputs" / "mine" / "trials"
    wait_until(lambda: process.poll() is not None or len(list(trials.glob("*"))) > 1, lambda: said(here))
    assert process.poll() is None, said(here)
    assert command_lines(process.pid).count(b"\n") > 1
    assert not any(secret.encode() in command_lines(process.pid) for secret in SECRETS)

    assert printed(capsys, "status")["driven"]
    assert main(["search", *WORDS[1:]]) == 2
    refusal = capsys.readouterr().err
    assert refusal.count("\n") == 1
    assert f"is driven by process {process.pid} on " in refusal

    before = complete(capsys)
    database.server.stop("immediate")
    time.sleep(0.5)
    database.server.start()
    wait_until(lambda: "the study's database is back after" in said(here), lambda: said(here))
    wait_until(lambda: process.poll() is not None or complete(capsys) > before, lambda: said(here))
    assert main(["stop", "study=mine", "storage=postgres"]) == 0
    assert process.wait(PATIENCE) == 0, said(here)
    capsys.readouterr()

    status = printed(capsys, "status")
    ended = status["trials"]["complete"]
    assert (status["driven"], ended > before) == (False, True)
    assert main(["stop", "study=mine", "storage=postgres"]) == 2
    assert "only a running search can be stopped, none drives mine in PostgreSQL at" in capsys.readouterr().err
    assert main(["search", *WORDS[1:], "tracking=none", "training.epochs=30"]) == 2
    assert "training.epochs is 3 in the study and 30 here" in capsys.readouterr().err
    assert start(here, "tracking=none", f"budget.trials={ended + 1}").wait(PATIENCE) == 0, said(here)
    assert complete(capsys) == ended + 1

    assert printed(capsys, "front") == json.loads((here / "outputs" / "mine" / "front.json").read_text())
    assert main(["report", "study=mine", "storage=postgres", "output=report.html"]) == 0
    report = (there / "report.html").read_text()
    assert "nas search study=mine" in report
    assert "nas retrain study=mine storage=postgres pick=" in report
    assert main(["describe", "architecture=mine:1", "storage=postgres"]) == 0

    settings = (here / "outputs" / "mine" / "config.yaml").read_text()
    assert "kind: postgres" in settings
    assert str(database.server.port) not in settings
    (there / "printed.txt").write_text("".join(capsys.readouterr()))
    assert (here / "outputs" / "mine" / "wandb").is_dir()
    assert places_with_a_secret(here, there) == []
    dump = database.sql("SELECT string_agg(value_json, ' ') FROM study_user_attributes")
    assert not any(secret in dump for secret in SECRETS)


@pytest.fixture
def studied(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Create a study, and change to another folder."""
    with locked_store(tmp_path / "driver" / "mine", "postgres") as store:
        study = create_study(tmp_path / "driver" / "mine", fingerprint(), store)
        for number in range(3):
            study.add(candidate(number))
            study.store_training(number, curve(2), TrainingState(attempt=1))
            study.tell(number, {"val_accuracy": 0.5 + number / 10, "macs": 5000 + number})
    monkeypatch.chdir(tmp_path)
    return database


def test_the_dashboard_follows_a_study_on_another_machine(studied: Database) -> None:
    pytest.importorskip("optuna_dashboard")
    from nas.reports.dashboard import StudyCopy  # noqa: PLC0415 - of an extra

    study = open_for_reading(Path("outputs/mine"), "postgres").study
    copy = StudyCopy(study, "study=mine storage=postgres")
    count = len(copy.storage.get_all_trials(copy.storage.get_study_id_from_name("mine")))
    assert count == 3
    studied.server.stop("immediate")
    copy.follow()  # shows what it has
    studied.server.start()
    with locked_store(Path("driver/mine"), "postgres") as store:
        resume_study(Path("driver/mine"), fingerprint(), store).add(candidate(3))
    copy.follow()
    assert len(copy.storage.get_all_trials(copy.storage.get_study_id_from_name("mine"))) == 4
    study.close()


def test_the_live_page_follows_a_study_on_another_machine(studied: Database) -> None:
    assert study_names("outputs", "postgres") == ["mine"]
    folder = Path("outputs/mine")
    source = Source("mine", lambda: open_for_reading(folder, "postgres"), lambda _: ReportContext("study=mine"))
    follower = Follower(source, lambda: None)

    def trouble() -> object:
        return follower.feed.field("trouble")

    try:
        follower.wait()
        assert len(rows(follower)) == 3, trouble()
        studied.server.stop("immediate")
        wait_until(lambda: trouble() is not None, lambda: "the trouble must be told")
        assert len(rows(follower)) == 3  # shows what it has
        studied.server.start()
        with locked_store(Path("driver/mine"), "postgres") as store:
            resume_study(Path("driver/mine"), fingerprint(), store).add(candidate(3))
        wait_until(lambda: len(rows(follower)) == 4, lambda: f"the new trial must be shown, {trouble()}")
        wait_until(lambda: trouble() is None, lambda: f"the trouble must pass, {trouble()}")
    finally:
        follower.stop()
        join_followers()


def test_the_studies_of_a_database_are_listed(studied: Database, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["studies", "storage=postgres"]) == 0
    assert "mine" in capsys.readouterr().out
    assert main(["studies", "storage=postgres", "format=json"]) == 0
    (study,) = json.loads(capsys.readouterr().out)["studies"]
    assert (study["study"], study["age_seconds"], study["trials"]) == ("mine", None, 3)
    studied.server.stop("immediate")
    assert main(["studies", "storage=postgres"]) == 2
    told = capsys.readouterr().err
    studied.server.start()
    assert told.count("\n") == 1
    assert "must be reachable" in told


def rows(follower: Follower) -> list[object]:
    return list(json.loads(follower.feed.document()[1])["trials"])


@pytest.mark.parametrize(
    "command", ["search", "status", "front", "report", "ui", "dashboard", "stop", "retrain", "export"]
)
def test_no_url_is_one_line(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("psycopg", reason="needs the extra: pip install 'inception-nas[postgres]'")
    monkeypatch.delenv("NAS_STORAGE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main([command, "study=mine", "storage=postgres"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "storage=postgres takes the database's URL from the environment: set NAS_STORAGE_URL=" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.few(4)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text.replace("w%25rd", "hush"), 'got .*password authentication failed for user "nas"'),
        (lambda text: text.replace("127.0.0.1", "nowhere.invalid"), "must be reachable, got .*nowhere.invalid"),
        (lambda text: text.replace("nas:", "nobody_here:"), 'password authentication failed for user "nobody_here"'),
        (lambda text: text.rpartition("/")[0] + "/none_such", 'database "none_such" does not exist'),
        (lambda text: text + "?sslmode=hush", "sslmode"),
        (lambda text: text + "?colour=blue", "colour"),
        (lambda text: text.rpartition(":")[0] + ":1/nas", "must be reachable, got .*Connection refused"),
        (lambda text: text.replace("%40", "@"), "there is one @ too many"),
    ],
)
def test_a_refused_connection_is_one_line(
    studied: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[str], str],
    reason: str,
) -> None:
    monkeypatch.setenv("NAS_STORAGE_URL", change(studied.url))
    for command in ("status", "search"):
        assert main([command, "study=other", "storage=postgres"]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert re.search(reason, told)
        assert "s3cr" not in told
    assert not Path("outputs").exists()


def test_a_url_on_the_command_line_is_not_repeated(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words in (["storage=postgresql://anna:hush@db/nas"], ["storage.url=postgresql://anna:hush@db/nas"]):
        assert main(["status", "study=mine", *words]) == 2
        told = capsys.readouterr().err
        assert told.count("\n") == 1
        assert "hush" not in told
        assert "NAS_STORAGE_URL" in told


def test_a_missing_extra_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "nas.study.storage.postgres", raising=False)
    monkeypatch.chdir(tmp_path)
    assert main(["status", "study=mine", "storage=postgres"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "psycopg must be installed for storage=postgres: pip install 'inception-nas[postgres]'" in told
