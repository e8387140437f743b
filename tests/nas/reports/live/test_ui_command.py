"""The command `nas ui`: address, end, and mistakes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from nas.cli import main


@pytest.fixture(scope="module")
def folder(make_study) -> Path:
    study = make_study(trials=12, name="shown")
    study.close()
    return study.folder


@pytest.fixture
def running(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "nas", "ui", "study=shown", f"outputs={folder.parent}", "port=0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as it:
        yield it
        it.kill()


def test_it_tells_its_address_and_ends_on_ctrl_c_with_viewers(running: subprocess.Popen[str]) -> None:
    assert running.stdout is not None
    assert running.stderr is not None
    line = running.stdout.readline()
    found = re.fullmatch(r"(http://127\.0\.0\.1:\d+/) shows study shown, until Ctrl-C\.\n", line)
    assert found, running.stderr.read()
    with urlopen(f"{found[1]}api/s/shown/document") as answer:
        document = json.load(answer)
    assert len(document["trials"]) == 12
    assert "outputs=" in document["commands"]["retrain"]
    with urlopen(f"{found[1]}api/s/shown/events?since={document['version']}", timeout=60) as stream:
        stream.readline()
        running.send_signal(signal.SIGINT)
        stream.read()
    assert running.wait(60) == 130
    assert "Traceback" not in running.stderr.read()


def test_a_taken_port_is_a_mistake(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["ui", f"study={folder}", f"port={port}"]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert error[-1].startswith(f"nas ui: port must be free on 127.0.0.1, {port} is not (Address already in use)")


def test_a_study_that_is_not_there_is_a_mistake(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ui", "study=missing", f"outputs={folder.parent}"]) == 2
    assert "no study 'missing'" in capsys.readouterr().err


def test_no_other_address_can_be_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ui", "host=0.0.0.0"]) == 2
    assert "there is no 'host' to set" in capsys.readouterr().err
