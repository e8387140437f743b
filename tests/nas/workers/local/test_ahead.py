"""Tests of a fork server that is started ahead of need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

import pytest
from processes import gone, wait_until

from nas.config.workers import WorkersSpec
from nas.workers import local
from nas.workers.local import forked_process
from nas.workers.local.forked_process import ForkServer


@pytest.fixture
def server() -> Iterator[ForkServer]:
    made = ForkServer(())
    yield made
    made.close()


def send_parent(pipe: Connection[Any, Any]) -> None:
    pipe.send(os.getppid())


def test_a_process_comes_from_the_server_that_was_started_ahead(server: ForkServer) -> None:
    server.prepare()
    assert server._server is not None
    pid = server._server.pid
    server.prepare()
    process, connection = server.start(send_parent, ())
    assert connection.recv() == pid == server._server.pid
    process.join()
    process.close()
    connection.close()
    server.close()
    wait_until(lambda: gone(pid), "the server ends")


def test_what_prevents_a_start_is_told_by_the_first_process_alone(
    server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forked_process.spawn, "get_executable", lambda: b"")
    server.prepare()
    assert server._server is None
    with pytest.raises(ValueError, match="worker processes need a Python interpreter"):
        server.start(send_parent, ())


@pytest.mark.parametrize(
    ("name", "cores", "load", "if_idle", "starts"),
    [
        ("local", 2, 0.4, True, True),
        ("local", 2, 1.6, True, False),
        ("local", 8, 7.4, True, True),
        ("local", 1, 0.0, True, False),
        ("local", 1, 3.0, False, True),
        ("ray", 8, 0.0, True, False),
        ("ray", 8, 0.0, False, False),
    ],
)
def test_nothing_is_started_where_it_would_take_a_core_from_the_driver(
    name: str, cores: int, load: float, if_idle: bool, starts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def prepare(server: ForkServer) -> None:
        started.append(server)

    monkeypatch.setattr(local, "cores", lambda: cores)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(ForkServer, "prepare", prepare)
    local.start_loading(WorkersSpec(name=name), if_idle=if_idle)
    assert bool(started) == starts
